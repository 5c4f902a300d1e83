"""Joins fragments: features, head, one graph, proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx_ir as ir
import torch

from onnxgraph.cost import cost
from onnxgraph.parity import Runner
from packer_svc.fusion.answers import Answers, ask
from packer_svc.fusion.conversion import adapted
from packer_svc.fusion.feature_cache import FeatureCache
from packer_svc.fusion.features import Fragment, FragmentFeatures, joined
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.model import Head, HeadReport
from packer_svc.fusion.heads.none_of_these import (
    NoneOfThese,
    NoneReport,
    NoneSamples,
    fit_none_of_these,
)
from packer_svc.fusion.heads.spec import HeadKind, HeadSpec
from packer_svc.fusion.layout.quickest import Laid, Target, quickest
from packer_svc.fusion.manifest import Part, build_manifest
from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.fusion.originals import compared, timed
from packer_svc.fusion.pack import merge_pack
from packer_svc.fusion.precision import Precision, check_lowered
from packer_svc.fusion.proof import ModelSize, Proof
from packer_svc.fusion.prove import ProofContext, prove
from packer_svc.fusion.run_time import RunTime, run_time
from packer_svc.fusion.samples import PackSamples
from packer_svc.fusion.trunks import Trunk, trunks_of
from packer_svc.jobs.budget import Weighing
from packer_svc.jobs.class_samples import ClassReader, gather_samples, read_inputs
from packer_svc.jobs.judge import Judge
from packer_svc.jobs.outcome import Outcome
from packer_svc.jobs.outside import outside_blocks
from packer_svc.jobs.papers import write_papers
from svckit.input_spec import InputSpec

PHASES = ("features", "head", "merge", "layout", "proof")
"""The steps after the features of each fragment, those counted as one step each."""


def pack_fragments(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Makes a pack and proves it.

    Args:
        request: ``folder``, to which ``pack.onnx``, ``smoke.npz`` and what `write_papers` writes
            go; ``title`` with the fields of `report.title.Title`; ``labels`` of the pack's
            outputs; ``head`` with the fields of `HeadSpec`; ``options`` as protobuf's JSON of
            `PackOptions`; ``inputs`` of the pack, JSON of `InputSpec`; ``ensemble`` with the
            originals' parameters, MACs and bytes; ``originals`` as `originals.timed` takes them;
            ``fragments``, each with ``graph`` and ``samples`` as paths, its ``class`` in its model,
            the ``model_labels``, its ``output`` in the pack, its own ``inputs``, and ``part`` for
            the manifest;
            ``budget`` as `Weighing.of` takes it; ``features``, a folder of what was computed
            before; ``threads``, how many fragments run at once; ``evaluation``, by what the pack
            is judged, see `Judge.of`; ``reassembly``, protobuf's JSON of `Reassembly` where
            all fragments are one network, else None.
        report: Takes ``{"phase", "layer", "done", "total"}``.

    Returns:
        ``parameters``, ``macs`` and ``proof_summary``.

    Raises:
        FusionError: The samples do not fit, or the proof failed.
        GraphError: A fragment cannot be run or merged.
    """
    torch.set_num_threads(1)
    task = _Task.of(request, report)
    judge = Judge.of(request, task.spec, task.samples)
    with ThreadPoolExecutor(request["threads"]) as pool:
        everything = task.features(pool)
        features = [part.rows(np.arange(len(task.samples.labels))) for part in everything]
        # They do not depend on the head, and ONNX Runtime leaves the fit its processor.
        answers = ask(
            pool, task.fragments, task.samples.inputs, seed=task.spec.seed, known=features
        )
        beside = pool.submit(_beside_originals, request)
        task.begin("head")
        fitted = task.fitted(features, everything)
        task.begin("merge")
        merged = fitted.merged([fragment.graph for fragment in task.fragments], task.labels)
        task.begin("layout")
        laid = quickest(merged, task.target)
        task.begin("proof")
        proof, time = task.proven(pool, fitted, merged, laid, answers)
    pack, told = laid.lowered.graph, fitted.report
    weighing = Weighing(task.cache, task.samples, task.labels, task.spec, task.graph_of)
    outcome = Outcome(
        proof,
        time,
        judge.verdict(pack, task.samples, told.cross_validation),
        weighing.of(request["budget"], (proof.size, told)),
    )
    folder = Path(request["folder"])
    (folder / "pack.onnx").write_bytes(pack)
    (folder / "smoke.npz").write_bytes(proof.smoke_test)
    parts = [Part(**one["part"]) for one in request["fragments"]]
    manifest = build_manifest(parts, task.labels, task.inputs, (task.spec, told), proof)
    manifest["layout"] = laid.to_json()
    if request["reassembly"] is not None:
        manifest["reassembly"] = request["reassembly"]
    proven = outcome.proof_json() | beside.result()
    write_papers(folder, request["title"], manifest, proven)
    return {
        "parameters": proof.size.parameters,
        "macs": proof.size.macs,
        "proof_summary": outcome.summary(),
    }


@dataclass(frozen=True, eq=False)
class _Fitted:
    """What is fitted to what fragments say.

    Attributes:
        head: The head.
        report: How it was fitted.
        score: That of the second output and what it is worth; None for a pack without.
    """

    head: Head
    report: HeadReport
    score: tuple[NoneOfThese, NoneReport] | None

    def merged(self, graphs: Sequence[bytes], labels: Sequence[str]) -> ir.Model:
        """The pack."""
        return merge_pack(graphs, self.head, labels, self.score[0] if self.score else None)


@dataclass(frozen=True, eq=False)
class _Task:
    """What was asked for, read.

    Attributes:
        request: As of `pack_fragments`.
        report: Likewise.
        spec: How the head is fitted.
        inputs: What the pack is fed.
        samples: What its head is fitted on.
        shown: These and, where a second output asks for them, those of classes outside of it.
        trunks: The different graphs of its fragments, as the pack feeds them.
        fragments: The same, to be run.
    """

    request: Mapping[str, Any]
    report: Callable[[dict[str, Any]], None]
    spec: HeadSpec
    inputs: tuple[InputSpec, ...]
    samples: PackSamples
    shown: PackSamples
    trunks: Sequence[Trunk]
    fragments: Sequence[Fragment]

    @classmethod
    def of(cls, request: Mapping[str, Any], report: Callable[[dict[str, Any]], None]) -> Self:
        """Reads fragments and samples."""
        inputs, asked = read_inputs(request["inputs"]), request["fragments"]
        spec = HeadSpec(**{**request["head"], "kind": HeadKind(request["head"]["kind"])})
        trunks = trunks_of([_graph_of(one, inputs) for one in asked])
        fragments = [Fragment(trunk.graph) for trunk in trunks]
        reader = ClassReader(inputs)
        samples = shown = gather_samples(asked, reader)
        if request["options"].get("noneOfThese", False):
            outside = outside_blocks(asked, request["labels"], samples.blocks, reader)
            shown = PackSamples.of([*samples.blocks, *outside])
        return cls(request, report, spec, inputs, samples, shown, trunks, fragments)

    @property
    def labels(self) -> list[str]:
        """The pack's labels in the order of its outputs."""
        found: list[str] = self.request["labels"]
        return found

    @property
    def cache(self) -> FeatureCache:
        """What fragments said about samples."""
        return FeatureCache(Path(self.request["features"]))

    @property
    def graph_of(self) -> Callable[[Mapping[str, Any]], bytes]:
        """Reads a fragment as the pack feeds it."""
        return partial(_graph_of, shared=self.inputs)

    @property
    def target(self) -> Target:
        """What the pack is laid out for."""
        precision = Precision(
            self.request["options"]["precision"].removeprefix("PRECISION_").lower()
        )
        return Target(precision, self.samples.inputs, Path(self.request["features"]))

    def begin(self, phase: str, layer: str = "", done: int = 0) -> None:
        """Says what is done now; the phases after the first are a step each."""
        count = len(self.fragments)
        done = done or (count + PHASES.index(phase) - 1 if phase != PHASES[0] else 0)
        total = count + len(PHASES) - 1
        self.report({"phase": phase, "layer": layer, "done": done, "total": total})

    def features(self, pool: ThreadPoolExecutor) -> list[FragmentFeatures]:
        """What each fragment says about all samples."""
        cache, blocks = self.cache, self.shown.blocks
        found = [
            [pool.submit(cache.run, fragment, [block]) for block in blocks]
            for fragment in self.fragments
        ]
        features: list[FragmentFeatures] = []
        for done, trunk in enumerate(self.trunks):
            one = self.request["fragments"][trunk.places[0]]
            self.begin("features", one["part"]["fragment"], done)
            features.append(joined([part.result() for part in found[done]]))
        return features

    def fitted(
        self, features: Sequence[FragmentFeatures], everything: Sequence[FragmentFeatures]
    ) -> _Fitted:
        """Fits the head on the pack's samples, and the score of the second output on all shown."""
        outputs = [one["output"] for one in self.request["fragments"]]
        serves = [trunk.serves(outputs) for trunk in self.trunks]
        classes = len(self.labels)
        head, report = fit_head(features, self.samples.labels, classes, self.spec, serves=serves)
        score = None
        if self.request["options"].get("noneOfThese", False):
            known = NoneSamples(everything, self.shown.labels, classes, serves)
            score = fit_none_of_these(known, self.spec.seed)
        return _Fitted(head, report, score)

    def proven(
        self,
        pool: ThreadPoolExecutor,
        fitted: _Fitted,
        merged: ir.Model,
        laid: Laid,
        answers: Answers,
    ) -> tuple[Proof, RunTime]:
        """The proof of the pack in the precision that is served, and how long it runs.

        Raises:
            FusionError: PROOF_FAILED.
        """
        # The proof waits for ONNX Runtime most of the time.
        size, runner = pool.submit(_size, merged), pool.submit(Runner, laid.pack)
        spent = laid.time or pool.submit(_run_time, runner, self.samples)
        context = ProofContext(
            fitted.report,
            answers=answers,
            runner=runner,
            ensemble=_ensemble(self.request),
            size=size,
            none_of_these=fitted.score,
            threads=self.request["threads"],
        )
        samples = self.samples
        proof = prove(
            laid.pack, self.fragments, fitted.head, samples.inputs, samples.labels, context
        )
        proof.require()
        precision = self.target.precision
        if precision is not Precision.FP32:
            check = check_lowered(laid.pack, laid.lowered, precision, samples, seed=proof.seed)
            check.require()
            proof = proof.lowered(laid.lowered.graph, check, samples.inputs)
        return proof, spent if isinstance(spent, RunTime) else spent.result()


def _size(merged: ir.Model) -> ModelSize:
    """What a pack counts before its layout, which adds no parameter and no arithmetic of its own.

    Its bytes are those of the file that the proof is of.
    """
    counted = cost(merged)
    return ModelSize(counted.parameters, counted.macs, bytes=0)


def _run_time(loading: Future[Runner], samples: PackSamples) -> RunTime:
    return run_time(loading.result(), samples.inputs)


def _ensemble(request: Mapping[str, Any]) -> ModelSize:
    return ModelSize(**request["ensemble"])


def _beside_originals(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a proof says of the originals, one by one and together."""
    times = OriginalTimes(Path(request["features"]))
    found = timed(request["originals"], times, threads=request["threads"])
    return compared(_ensemble(request), found)


def _graph_of(one: Mapping[str, Any], shared: Sequence[InputSpec]) -> bytes:
    return adapted(Path(one["graph"]).read_bytes(), read_inputs(one["inputs"]), shared)
