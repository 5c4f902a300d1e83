"""Typed refusals of specifications."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class SpecificationReason(StrEnum):
    """Stable reasons, one for every kind of thing that is refused.

    Each bears the name that clients see.
    """

    SPECIFICATION_VERSION = "SPECIFICATION_VERSION"
    SPECIFICATION_INVALID = "SPECIFICATION_INVALID"
    SPECIFICATION_TOO_FEW_SAMPLES = "SPECIFICATION_TOO_FEW_SAMPLES"
    SPECIFICATION_NOT_COMPARABLE = "SPECIFICATION_NOT_COMPARABLE"
    SPECIFICATION_TOO_NEAR = "SPECIFICATION_TOO_NEAR"


class SpecificationError(Exception):
    """A refusal with a stable reason and one sentence of advice.

    Attributes:
        reason: The stable reason.
        message: What is wrong, with the figures that show it.
        advice: One sentence on what to do about it.
        metadata: Facts as text, for machines.
    """

    def __init__(
        self,
        reason: SpecificationReason,
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


def invalid(field: str, message: str) -> SpecificationError:
    """A SPECIFICATION_INVALID that names the field in its message and metadata."""
    return SpecificationError(
        SpecificationReason.SPECIFICATION_INVALID,
        f"{field}: {message}",
        advice="Have `marketctl specify` make it of samples that keep to this, not by hand.",
        metadata={"field": field},
    )
