"""Typed refusals of the slicing domain."""

from collections.abc import Mapping
from enum import StrEnum


class SlicingReason(StrEnum):
    """Stable reasons, one for every kind of input that slicing refuses.

    Each bears the name that clients see.
    """

    FIELD_INVALID = "FIELD_INVALID"
    SAMPLES_MISMATCH = "SAMPLES_MISMATCH"
    SAMPLES_CLASS_MISSING = "SAMPLES_CLASS_MISSING"
    CLASS_UNKNOWN = "CLASS_UNKNOWN"
    BUDGET_UNREACHABLE = "BUDGET_UNREACHABLE"
    LABELS_MISMATCH = "LABELS_MISMATCH"
    MODEL_AT_CHANCE = "MODEL_AT_CHANCE"
    GRAPH_NO_SLICEABLE_UNIT = "GRAPH_NO_SLICEABLE_UNIT"
    GRAPH_NOT_FINITE = "GRAPH_NOT_FINITE"


class SlicingError(Exception):
    """A refusal with a stable reason and one sentence of advice.

    Attributes:
        reason: The stable reason.
        message: What is wrong, with the figures that show it.
        advice: One sentence on what to do about it.
        metadata: Facts as text, for machines.
    """

    def __init__(
        self,
        reason: StrEnum,
        message: str,
        *,
        advice: str,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.advice = advice
        self.metadata: Mapping[str, str] = dict(metadata or {})


def not_finite(what: str, metadata: Mapping[str, str]) -> SlicingError:
    """A GRAPH_NOT_FINITE for a model that overflows on its own samples."""
    return SlicingError(
        SlicingReason.GRAPH_NOT_FINITE,
        f"{what} that are not finite on the model's samples",
        advice="Check how the samples are normalised, or rescale the layers of the model.",
        metadata=metadata,
    )


def invalid_field(field: str, message: str, advice: str) -> SlicingError:
    """A FIELD_INVALID that names the field in its message and metadata."""
    return SlicingError(
        SlicingReason.FIELD_INVALID,
        f"{field}: {message}",
        advice=advice,
        metadata={"field": field},
    )
