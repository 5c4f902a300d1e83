"""Does a pack compute what its fragments and head compute, and what is it worth?

Three legs are held against each other. The reference is the unfolded head in torch, in float64, on
the outputs of each fragment by ONNX Runtime; it shares neither the folding nor the merge with the
pack. Against it stand the pack as ONNX Runtime runs it node by node, and as it optimises it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from onnxgraph.cost import cost
from onnxgraph.parity import Parity, Runner, compare
from onnxgraph.serialise import from_trusted_bytes
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import Fragment, FragmentFeatures, run_batches
from packer_svc.fusion.heads.folds import CrossValidation
from packer_svc.fusion.heads.model import Head, HeadReport
from packer_svc.fusion.pack import PROBABILITIES
from packer_svc.fusion.precision import PrecisionCheck
from packer_svc.fusion.probes import SAMPLES, Inputs, Probe, probes, spread

Reference = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

SMOKE_SAMPLES = 8


@dataclass(frozen=True)
class Tolerance:
    """|a − b| ≤ atol + rtol·|b| for every probability; b is the reference's.

    Attributes:
        atol: Absolute. Extreme inputs make logits of some hundreds, of which float32 rounds off
            some 1e-5.
        rtol: Relative.
    """

    atol: float = 1e-4
    rtol: float = 1e-3


@dataclass(frozen=True)
class ModelSize:
    """What a model costs.

    Attributes:
        parameters: Floating initializers.
        macs: Multiply-accumulates per sample.
        bytes: Size of the ONNX file.
    """

    parameters: int
    macs: int
    bytes: int


class Leg(StrEnum):
    """How a pack is run."""

    PLAIN = "plain"
    """Node by node, as the graph is written."""
    OPTIMISED = "optimised"
    """As ONNX Runtime rewrites it for the machine at hand: as it is served."""


PLAIN_BATCH = 7
"""The batch of the plain leg: it is slow, and what it can tell does not depend on the batch."""


@dataclass(frozen=True)
class ParityCase:
    """One comparison of a pack with its parts.

    Attributes:
        leg: How the pack was run.
        inputs: "samples", "random" or "extreme".
        batch: Samples per request.
        rows: Samples compared.
        parity: Distances, and whether all probabilities are within the tolerance and finite and no
            class changed places with another by more than it.
    """

    leg: Leg
    inputs: str
    batch: int
    rows: int
    parity: Parity


@dataclass(frozen=True)
class ProofContext:
    """What is known before a proof.

    Attributes:
        report: The head's report, for the cross-validated accuracy.
        features: The fragments' outputs on the samples, where cached; else they are computed.
        ensemble: The size of the full originals with their joint classifier.
        size: The pack's, where it is counted on the graph before its layout was chosen.
        tolerance: What counts as equal.
        seed: Of the random inputs.
        threads: Runs at once, each on one thread.
    """

    report: HeadReport | None = None
    features: Sequence[FragmentFeatures] | None = None
    ensemble: ModelSize | None = None
    size: Future[ModelSize] | None = None
    tolerance: Tolerance = field(default_factory=Tolerance)
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Proof:
    """What was measured before a pack may be kept.

    Attributes:
        passed: Whether every case passed.
        pack_digest: `sha256:<hex>` of the pack's bytes.
        tolerance: What counted as equal.
        cases: All comparisons.
        in_sample_accuracy: The parts' accuracy on the very samples that they were made from; the
            pack names the same classes as they do.
        cross_validation: The head's, cross-validated; optimistic, since the slicing saw all
            samples. None with a class of one sample or without a report.
        size: The pack's.
        ensemble: The full originals' with their joint classifier, if known.
        precision: What fewer bits cost; None for a float32 pack. All else but digest, bytes,
            accuracy and smoke test is then of the float32 pack that it was made from.
        seed: Of the random inputs.
        smoke_test: An npz with the arrays "input/NAME" and "output/probabilities", for the first
            request to a live server.
    """

    passed: bool
    pack_digest: str
    tolerance: Tolerance
    cases: tuple[ParityCase, ...]
    in_sample_accuracy: float
    cross_validation: CrossValidation | None
    size: ModelSize
    ensemble: ModelSize | None
    smoke_test: bytes
    precision: PrecisionCheck | None = None
    seed: int = 0

    def lowered(self, graph: bytes, check: PrecisionCheck, samples: Inputs) -> Proof:
        """This proof, for the same pack in fewer bits.

        Args:
            graph: The ONNX file.
            check: What fewer bits cost.
            samples: The samples of all classes, one array per input by name.
        """
        return replace(
            self,
            passed=self.passed and check.passed,
            pack_digest=digest_of(graph),
            in_sample_accuracy=check.in_sample_accuracy,
            size=replace(self.size, bytes=len(graph)),
            smoke_test=_smoke_test(Runner(graph), samples),
            precision=check,
        )

    @property
    def in_sample_accuracy_fp32(self) -> float:
        """The float32 pack's accuracy on the samples."""
        check = self.precision
        return self.in_sample_accuracy if check is None else check.in_sample_accuracy_fp32

    @property
    def max_abs(self) -> float:
        """The largest difference of a probability in all cases."""
        return max(case.parity.max_abs for case in self.cases)

    @property
    def top1(self) -> float:
        """The least share of inputs, over all cases, on which pack and parts name one class."""
        return min(case.parity.top1 for case in self.cases)

    def to_json(self) -> dict[str, object]:
        """The report as plain JSON, the smoke test by its digest."""
        report = asdict(self)
        report["smoke_test"] = digest_of(self.smoke_test)
        return report | {"max_abs": self.max_abs, "top1": self.top1}

    def require(self) -> None:
        """Raises if the proof failed.

        Raises:
            FusionError: `PROOF_FAILED`.
        """
        if self.passed:
            return
        worst = max((c for c in self.cases if not c.parity.passed), key=lambda c: c.parity.max_abs)
        raise FusionError(
            FusionReason.PROOF_FAILED,
            f"The pack differs from its parts by {worst.parity.max_abs:.3g} on {worst.inputs} at "
            f"batch {worst.batch} ({worst.leg}); it is not kept.",
            advice="Report this with the pack's fragments; another head or fragment may pass.",
            metadata={
                "max_abs": f"{worst.parity.max_abs:.3g}",
                "inputs": worst.inputs,
                "leg": worst.leg.value,
            },
        )


def prove(
    pack: bytes,
    fragments: Sequence[Fragment],
    head: Head,
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
    with ThreadPoolExecutor(known.threads) as pool:
        loading = {leg: pool.submit(_load, pack, leg) for leg in Leg}
        shown = list(probes(inputs, known.seed))
        asked = [_parts_on(pool, fragments, probe, known.features) for probe in shown]
        expected = [_expected(head, parts) for parts in asked]
        runners = {leg: future.result() for leg, future in loading.items()}
        compared = [
            pool.submit(_compare, runners[leg], (probe, leg, batch), reference, known.tolerance)
            for probe, reference in zip(shown, expected, strict=True)
            for leg, batch in _runs(probe)
        ]
        cases = tuple(future.result() for future in compared)
    on_samples = expected[0]
    return Proof(
        passed=all(case.parity.passed for case in cases),
        pack_digest=digest_of(pack),
        tolerance=known.tolerance,
        cases=cases,
        in_sample_accuracy=float((on_samples.argmax(axis=1) == labels).mean()),
        cross_validation=known.report.cross_validation if known.report else None,
        size=replace(known.size.result() if known.size else model_size(pack), bytes=len(pack)),
        ensemble=known.ensemble,
        smoke_test=_smoke_test(runners[Leg.OPTIMISED], inputs),
        seed=known.seed,
    )


def _load(pack: bytes, leg: Leg) -> Runner:
    return Runner(pack, optimised=leg is Leg.OPTIMISED)


def _parts_on(
    pool: ThreadPoolExecutor,
    fragments: Sequence[Fragment],
    probe: Probe,
    known: Sequence[FragmentFeatures] | None,
) -> Sequence[Future[FragmentFeatures]] | Sequence[FragmentFeatures]:
    """What the fragments say about a probe; of the samples it may be known already."""
    if probe.name == SAMPLES and known is not None:
        return known
    return [pool.submit(fragment.run, probe.inputs) for fragment in fragments]


def _expected(
    head: Head, parts: Sequence[Future[FragmentFeatures]] | Sequence[FragmentFeatures]
) -> Reference:
    """The reference's probabilities `(n, C)`, float64."""
    features = [part.result() if isinstance(part, Future) else part for part in parts]
    found: Reference = head.torch().probabilities(features).numpy()
    return found


def _runs(probe: Probe) -> list[tuple[Leg, int]]:
    return [*((Leg.OPTIMISED, batch) for batch in probe.rows_by_batch), (Leg.PLAIN, PLAIN_BATCH)]


def model_size(graph: bytes) -> ModelSize:
    """Parameters, MACs per sample and bytes of an ONNX graph of our own making."""
    counted = cost(from_trusted_bytes(graph))
    return ModelSize(counted.parameters, counted.macs, len(graph))


def digest_of(data: bytes) -> str:
    """`sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def parity_of(
    answers: npt.NDArray[np.generic], expected: npt.NDArray[np.generic], tolerance: Tolerance
) -> Parity:
    """Compares probabilities `(N, C)` one by one with their reference.

    Where two classes lie closer together than the tolerance, their order is rounding and does not
    fail; it still counts in `top1`.
    """
    whole = compare(answers, expected, atol=tolerance.atol, rtol=tolerance.rtol)
    if not np.isfinite(whole.max_abs):
        return whole
    a, b = answers.astype(np.float64), expected.astype(np.float64)
    allowed = tolerance.atol + tolerance.rtol * np.abs(b)
    rows = np.arange(len(b))
    given_up = b.max(axis=1) - b[rows, a.argmax(axis=1)]
    same_class = bool((given_up <= 2 * allowed.max(axis=1)).all())
    within = bool((np.abs(a - b) <= allowed).all())
    return Parity(whole.max_abs, whole.max_rel, whole.cosine, whole.top1, within and same_class)


def _compare(
    runner: Runner, run: tuple[Probe, Leg, int], expected: Reference, tolerance: Tolerance
) -> ParityCase:
    probe, leg, batch = run
    chosen = probe.rows_by_batch[batch]
    part = {name: values[chosen] for name, values in probe.inputs.items()}
    answers = run_batches(runner, part, (PROBABILITIES,), batch=batch)[PROBABILITIES]
    parity = parity_of(answers, expected[chosen], tolerance)
    return ParityCase(leg, probe.name, batch, len(chosen), parity)


def _smoke_test(runner: Runner, inputs: Inputs) -> bytes:
    count = len(next(iter(inputs.values())))
    chosen = spread(count, min(SMOKE_SAMPLES, count))
    shown = {name: values[chosen] for name, values in inputs.items()}
    arrays = {f"input/{name}": shown[name] for name in runner.inputs}
    arrays[f"output/{PROBABILITIES}"] = runner.run(shown, (PROBABILITIES,))[PROBABILITIES]
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
