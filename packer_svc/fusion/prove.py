"""Makes a pack's proof.

Legs are held against each other. The reference is the unfolded head in torch, in float64, on the
outputs of each fragment by ONNX Runtime; it shares neither the folding nor the merge with the pack.
Against it stand the pack as ONNX Runtime runs it node by node, and as it optimises it; and at every
deployment the live server, which is asked by the place that serves it (`smoke_test`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from onnxgraph.agreement import Tolerance, parity_of, worst
from onnxgraph.cost import cost
from onnxgraph.parity import Runner
from onnxgraph.serialise import from_trusted_bytes
from packer_svc.fusion.answers import Answers, ask
from packer_svc.fusion.features import Fragment, FragmentFeatures, run_batches
from packer_svc.fusion.heads.folds import confusion_of
from packer_svc.fusion.heads.model import HeadReport
from packer_svc.fusion.heads.none_of_these import NoneOfThese, NoneReport
from packer_svc.fusion.pack import NONE_OF_THESE, PROBABILITIES
from packer_svc.fusion.probes import Inputs, Probe
from packer_svc.fusion.proof import Leg, ModelSize, ParityCase, Proof, digest_of
from packer_svc.fusion.smoke_test import questions, smoke_test

if TYPE_CHECKING:
    import torch

Reference = Mapping[str, npt.NDArray[np.float64]]
"""By output."""
Labels = npt.NDArray[np.int64]

PLAIN_BATCH = 7
"""The batch of the plain leg: it is slow, and what it can tell does not depend on the batch."""


class Reference64(Protocol):
    """A head in torch, in float64, nothing folded."""

    def probabilities(self, features: Sequence[FragmentFeatures], /) -> torch.Tensor:
        """Class probabilities `(N, C)` from the outputs of all fragments, in their order."""


class AnyHead(Protocol):
    """A head of any kind, as far as a proof has to know it."""

    @property
    def classes(self) -> int:
        """The number of its outputs."""

    def torch(self) -> Reference64:
        """What the pack is proven against."""


@dataclass(frozen=True)
class ProofContext:
    """What is known before a proof.

    Attributes:
        report: The head's report, for the cross-validated accuracy.
        features: The fragments' outputs on the samples, where cached; else they are computed.
        answers: What the fragments say about the proof's inputs, where they have been asked; then
            `features` and `seed` are those that they were asked with.
        runner: The pack as ONNX Runtime optimises it, where it is loaded already.
        ensemble: The size of the full originals with their joint classifier.
        size: The pack's, where it is counted on the graph before its layout was chosen.
        none_of_these: The score of the second output and what it is worth, where there is one.
        tolerance: What counts as equal.
        seed: Of the random inputs.
        threads: Runs at once, each on one thread.
    """

    report: HeadReport | None = None
    features: Sequence[FragmentFeatures] | None = None
    answers: Answers | None = None
    runner: Future[Runner] | None = None
    ensemble: ModelSize | None = None
    size: Future[ModelSize] | None = None
    none_of_these: tuple[NoneOfThese, NoneReport] | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)
    seed: int = 0
    threads: int = 1


def prove(
    pack: bytes,
    fragments: Sequence[Fragment],
    head: AnyHead,
    inputs: Inputs,
    labels: Labels,
    context: ProofContext | None = None,
) -> Proof:
    """Compares a pack with its parts at several batches, and measures it.

    On the samples, on random inputs and on extreme ones, spread over the samples' range.

    Args:
        pack: What `build_pack` made.
        fragments: The fragments, in the head's order.
        head: The head that was built in.
        inputs: The samples of all classes, one array per input by name.
        labels: Index of each sample's class `(n,)`.
        context: What is known already.

    Returns:
        The proof; see `passed`, or call `require`.

    Raises:
        GraphError: If pack or fragments cannot be run at all.
        FusionError: If the samples do not fit.
    """
    known = context or ProofContext()
    score, worth = known.none_of_these or (None, None)
    with ThreadPoolExecutor(known.threads) as pool:
        loading = {
            Leg.PLAIN: pool.submit(_load, pack, Leg.PLAIN),
            Leg.OPTIMISED: known.runner or pool.submit(_load, pack, Leg.OPTIMISED),
        }
        answers = known.answers or ask(
            pool, fragments, inputs, seed=known.seed, known=known.features
        )
        expected = [
            _expected(head, score, answers.of(place)) for place in range(len(answers.probes))
        ]
        runners = {leg: future.result() for leg, future in loading.items()}
        live_leg = pool.submit(
            _live_leg, answers.probes, expected, runners[Leg.OPTIMISED].inputs, known.tolerance
        )
        runs = [
            _Run(probe, leg, batch, reference)
            for probe, reference in zip(answers.probes, expected, strict=True)
            for leg, batch in _runs(probe)
        ]
        # The longest go first, so that no thread waits for one of them at the end.
        compared = {
            run: pool.submit(_compare, runners[run.leg], run, known.tolerance)
            for run in sorted(runs, key=lambda run: -len(run.rows))
        }
        cases = tuple(compared[run].result() for run in runs)
    named = expected[0][PROBABILITIES].argmax(axis=1)
    return Proof(
        passed=all(case.parity.passed for case in cases),
        pack_digest=digest_of(pack),
        tolerance=known.tolerance,
        cases=cases,
        in_sample_accuracy=float((named == labels).mean()),
        in_sample_confusion=confusion_of(labels, named, head.classes),
        cross_validation=known.report.cross_validation if known.report else None,
        size=replace(known.size.result() if known.size else model_size(pack), bytes=len(pack)),
        ensemble=known.ensemble,
        smoke_test=live_leg.result(),
        seed=answers.seed,
        none_of_these=worth,
    )


def _load(pack: bytes, leg: Leg) -> Runner:
    return Runner(pack, optimised=leg is Leg.OPTIMISED)


def _expected(
    head: AnyHead, score: NoneOfThese | None, parts: Sequence[FragmentFeatures]
) -> Reference:
    """The reference's probabilities `(n, C)`, and its score `(n, 1)`, float64."""
    found = {PROBABILITIES: head.torch().probabilities(parts).numpy()}
    return found if score is None else found | {NONE_OF_THESE: score.probability(parts)}


def _live_leg(
    shown: Sequence[Probe],
    expected: Sequence[Reference],
    names: Sequence[str],
    tolerance: Tolerance,
) -> bytes:
    """What live servers are asked, with the reference's own answers."""
    asked = questions(shown, names)
    answers = [
        {name: values[one.rows] for name, values in reference.items()}
        for one, reference in zip(asked, expected, strict=True)
    ]
    return smoke_test(asked, answers, tolerance)


@dataclass(frozen=True, eq=False)
class _Run:
    """Inputs of one kind at one batch on one leg, and what the reference says of all of them."""

    probe: Probe
    leg: Leg
    batch: int
    expected: Reference

    @property
    def rows(self) -> Labels:
        """Which of the inputs."""
        return self.probe.rows_by_batch[self.batch]


def _runs(probe: Probe) -> list[tuple[Leg, int]]:
    return [*((Leg.OPTIMISED, batch) for batch in probe.rows_by_batch), (Leg.PLAIN, PLAIN_BATCH)]


def model_size(graph: bytes) -> ModelSize:
    """Parameters, MACs per sample and bytes of an ONNX graph of our own making."""
    counted = cost(from_trusted_bytes(graph, shapes=False))
    return ModelSize(counted.parameters, counted.macs, len(graph))


def _compare(runner: Runner, run: _Run, tolerance: Tolerance) -> ParityCase:
    part = {name: values[run.rows] for name, values in run.probe.inputs.items()}
    answers = run_batches(runner, part, tuple(run.expected), batch=run.batch)
    parities = [
        parity_of(answers[name], values[run.rows], tolerance)
        for name, values in run.expected.items()
    ]
    return ParityCase(run.leg, run.probe.name, run.batch, len(run.rows), worst(parities))
