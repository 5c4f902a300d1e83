"""Judges a pack by what it was given for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from onnxgraph.parity import Runner
from packer_svc.fusion.conversion import adapted
from packer_svc.fusion.evaluation import (
    Evaluation,
    EvaluationKind,
    Refit,
    evaluate_refits,
)
from packer_svc.fusion.feature_cache import FeatureCache
from packer_svc.fusion.features import Fragment, run_batches
from packer_svc.fusion.heads.folds import CrossValidation, confusion_of
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.pack import PROBABILITIES
from packer_svc.fusion.samples import PackSamples
from packer_svc.fusion.trunks import Trunk, trunks_of
from packer_svc.jobs.class_samples import read_inputs
from packer_svc.jobs.evaluation_samples import EvaluationSamples, read_evaluation_samples
from packer_svc.jobs.folds import Dealt
from svckit.input_spec import InputSpec

BATCH = 64
"""Evaluation samples that are run at once."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Judges one pack.

    Attributes:
        request: What `pack_fragments` was asked.
        spec: How heads are fitted.
        inputs: What the pack is fed.
        given: Evaluation samples, where that is the kind.
    """

    request: Mapping[str, Any]
    spec: HeadSpec
    inputs: Sequence[InputSpec]
    given: EvaluationSamples | None

    @classmethod
    def of(cls, request: Mapping[str, Any], spec: HeadSpec, samples: PackSamples) -> Self:
        """Reads evaluation samples, where there are any, before anything is computed.

        Args:
            request: As of `pack_fragments`. Its ``evaluation`` has the ``kind``; ``samples``, a
                path, for evaluation samples; ``folds`` where it was sliced anew, each with its
                ``index`` and ``graphs``, the paths of what the fragments are without its samples.
            spec: How the head is fitted.
            samples: What it is fitted on.

        Raises:
            FusionError: See `read_evaluation_samples`.
        """
        given, asked = None, request["evaluation"]
        inputs = read_inputs(request["inputs"])
        if asked["kind"] == EvaluationKind.EVALUATION_SAMPLES:
            files = [Path(one["samples"]) for one in request["fragments"]]
            given = read_evaluation_samples(Path(asked["samples"]), inputs, request["labels"])
            given.refuse_seen(files, samples.inputs)
        return cls(request, spec, inputs, given)

    def verdict(
        self, pack: bytes, samples: PackSamples, validated: CrossValidation | None
    ) -> Evaluation | None:
        """The error to expect of a pack; None where its head could not be cross-validated.

        Args:
            pack: As it will be served.
            samples: What it was fitted on.
            validated: Its head's own cross-validation.
        """
        if self.given is not None:
            return self._on(pack, self.given)
        folds = self.request["evaluation"]["folds"]
        if folds:
            return self._anew(folds, samples)
        return Evaluation.of_head(validated)

    def _on(self, pack: bytes, given: EvaluationSamples) -> Evaluation:
        answers = run_batches(Runner(pack), given.inputs, (PROBABILITIES,), batch=BATCH)
        named = answers[PROBABILITIES].argmax(axis=1)
        confusion = confusion_of(given.labels, named, len(self.request["labels"]))
        return Evaluation.of(EvaluationKind.EVALUATION_SAMPLES, confusion)

    def _anew(self, folds: Sequence[Mapping[str, Any]], samples: PackSamples) -> Evaluation:
        fragments = self.request["fragments"]
        dealt = Dealt.of(fragments, self.spec.seed)
        assert (dealt.outputs == samples.labels).all(), "both follow the order of the fragments"
        trunks = trunks_of([self._adapted(one["graph"], one) for one in fragments])
        refits = [self._refit(fold, dealt, samples, trunks) for fold in folds]
        serves = [trunk.serves([one["output"] for one in fragments]) for trunk in trunks]
        labels = samples.labels
        return evaluate_refits(refits, labels, len(self.request["labels"]), self.spec, serves)

    def _adapted(self, graph: str, one: Mapping[str, Any]) -> bytes:
        return adapted(Path(graph).read_bytes(), read_inputs(one["inputs"]), self.inputs)

    def _refit(
        self,
        fold: Mapping[str, Any],
        dealt: Dealt,
        samples: PackSamples,
        trunks: Sequence[Trunk],
    ) -> Refit:
        # Kept for no other pack: nobody asks these fragments again.
        cache = FeatureCache(None)
        parts = self.request["fragments"]
        firsts = [trunk.places[0] for trunk in trunks]
        fragments = [
            Fragment(self._adapted(fold["graphs"][place], parts[place])) for place in firsts
        ]
        with ThreadPoolExecutor(self.request["threads"]) as pool:
            features = list(pool.map(lambda one: cache.run(one, samples.blocks), fragments))
        return Refit(features, dealt.kept(fold["index"]), dealt.judged(fold["index"]))
