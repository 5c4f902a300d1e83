"""What a proof says: does a pack compute what its fragments and head compute, what is it worth?"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from onnxgraph.agreement import Parity, Tolerance
from onnxgraph.parity import Runner
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.heads.folds import Confusion, CrossValidation, recall_of
from packer_svc.fusion.heads.none_of_these import NoneReport
from packer_svc.fusion.precision import PrecisionCheck
from packer_svc.fusion.probes import Inputs, probes
from packer_svc.fusion.smoke_test import LOWERED, questions, smoke_test


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
class Proof:
    """What was measured before a pack may be kept.

    Attributes:
        passed: Whether every case passed.
        pack_digest: `sha256:<hex>` of the pack's bytes.
        tolerance: What counted as equal.
        cases: All comparisons.
        in_sample_accuracy: The parts' accuracy on the very samples that they were made from; the
            pack names the same classes as they do.
        in_sample_confusion: Which classes the parts take those samples for.
        cross_validation: The head's, cross-validated; optimistic, since the slicing saw all
            samples. None with a class of one sample or without a report.
        size: The pack's.
        ensemble: The full originals' with their joint classifier, if known.
        precision: What fewer bits cost; None for a float32 pack. All else but digest, bytes,
            accuracy and smoke test is then of the float32 pack that it was made from.
        seed: Of the random inputs.
        smoke_test: An npz with what a live server is asked and must answer: the reference's
            answers, in fewer bits those of the pack itself.
        none_of_these: What the score of the second output is worth; None for a pack without it.
    """

    passed: bool
    pack_digest: str
    tolerance: Tolerance
    cases: tuple[ParityCase, ...]
    in_sample_accuracy: float
    in_sample_confusion: Confusion
    cross_validation: CrossValidation | None
    size: ModelSize
    ensemble: ModelSize | None
    smoke_test: bytes
    precision: PrecisionCheck | None = None
    seed: int = 0
    none_of_these: NoneReport | None = None

    def lowered(self, graph: bytes, check: PrecisionCheck, samples: Inputs) -> Proof:
        """This proof, for the same pack in fewer bits.

        Args:
            graph: The ONNX file.
            check: What fewer bits cost.
            samples: The samples of all classes, one array per input by name.
        """
        runner = Runner(graph)
        asked = questions(list(probes(samples, self.seed)), runner.inputs)
        return replace(
            self,
            passed=self.passed and check.passed,
            pack_digest=digest_of(graph),
            in_sample_accuracy=check.in_sample_accuracy,
            size=replace(self.size, bytes=len(graph)),
            smoke_test=smoke_test(asked, [runner.run(one.inputs) for one in asked], LOWERED),
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
        unseen = self.cross_validation
        report = asdict(replace(self, cross_validation=None))
        del report["in_sample_confusion"]
        # A pack without the second output says nothing of it.
        if report.pop("none_of_these") is None and self.precision is not None:
            del report["precision"]["none_of_these_moved"]
        if self.none_of_these is not None:
            report["none_of_these"] = self.none_of_these.to_json()
        return report | {
            "smoke_test": digest_of(self.smoke_test),
            "max_abs": self.max_abs,
            "top1": self.top1,
            "cross_validation": None if unseen is None else unseen.figures(),
            "confusion": self._confusion(),
            "reliability": None if unseen is None else asdict(unseen.reliability),
        }

    def _confusion(self) -> dict[str, object]:
        """Of samples that the head had not seen, where there are enough to leave some out."""
        unseen = self.cross_validation
        found = self.in_sample_confusion if unseen is None else unseen.confusion
        return {
            "kind": "in_sample" if unseen is None else "head_alone",
            "optimistic": True,
            "counts": found,
            "recall": recall_of(found),
        }

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


def digest_of(data: bytes) -> str:
    """`sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
