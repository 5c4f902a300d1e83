"""Why no pack can be made: one exception, with a stable reason and advice."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class FusionReason(StrEnum):
    """Why no pack is made. Stable names, the same as in the contracts' ErrorReason."""

    FIELD_INVALID = "FIELD_INVALID"
    """A parameter of the head or a class label is outside of what is allowed."""
    SAMPLES_MISMATCH = "SAMPLES_MISMATCH"
    """Samples, labels and a fragment's inputs do not fit each other."""
    SAMPLES_CLASS_MISSING = "SAMPLES_CLASS_MISSING"
    """A class of the pack has no sample."""
    SAMPLES_UNREADABLE = "SAMPLES_UNREADABLE"
    """Evaluation samples are no npz of plain arrays."""
    SAMPLES_TOO_LARGE = "SAMPLES_TOO_LARGE"
    """Evaluation samples are larger than the limit once unpacked."""
    SAMPLES_OUT_OF_RANGE = "SAMPLES_OUT_OF_RANGE"
    """An evaluation sample has a value that is not finite."""
    CLASS_UNKNOWN = "CLASS_UNKNOWN"
    """An evaluation sample is of a class that the pack does not have."""
    GRAPH_NOT_FINITE = "GRAPH_NOT_FINITE"
    """A fragment gives a feature or a class score that is not a finite number."""
    FRAGMENTS_INCOMPATIBLE = "FRAGMENTS_INCOMPATIBLE"
    """Fragments disagree on an input's name, shape, type or meaning, or lack an output."""
    FRAGMENTS_DUPLICATE = "FRAGMENTS_DUPLICATE"
    """The list of fragments is empty, or names a fragment or a class label twice."""
    PROOF_FAILED = "PROOF_FAILED"
    """The pack does not compute what its fragments and head compute."""
    BUDGET_UNREACHABLE = "BUDGET_UNREACHABLE"
    """The pack is larger than it may be."""
    NONE_OF_THESE_UNSUPPORTED = "NONE_OF_THESE_UNSUPPORTED"
    """Nothing can be held out from which to learn what lies outside of the pack."""
    PRECISION_UNSUPPORTED = "PRECISION_UNSUPPORTED"
    """The pack cannot be computed in the precision that was asked for."""
    CLONE_POSITION_UNKNOWN = "CLONE_POSITION_UNKNOWN"
    """The target of a clone has no such place to put a part in."""
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    """Nothing that keeps to the budgets was found in time."""
    MODEL_UNCUTTABLE = "MODEL_UNCUTTABLE"
    """No model, or not each of those that were named, can be cut into the blocks asked for."""


class FusionError(Exception):
    """No pack can be made; of the same shape as `onnxgraph.errors.GraphError`.

    Attributes:
        reason: The stable reason.
        message: What is wrong, naming the fragment, class or array.
        advice: One sentence on what to do about it.
        metadata: Further facts as text (such as `first`, `second`, `field`).
    """

    def __init__(
        self,
        reason: FusionReason,
        message: str,
        *,
        advice: str,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message} {advice}")
        self.reason = reason
        self.message = message
        self.advice = advice
        self.metadata: Mapping[str, str] = MappingProxyType(dict(metadata or {}))
