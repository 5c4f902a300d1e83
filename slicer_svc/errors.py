"""Typed refusals of a submission."""

from collections.abc import Mapping
from enum import StrEnum


class SubmissionReason(StrEnum):
    """Stable reasons; each bears the name that clients see."""

    GRAPH_NOT_FINITE = "GRAPH_NOT_FINITE"
    SAMPLES_UNREADABLE = "SAMPLES_UNREADABLE"
    SAMPLES_TOO_LARGE = "SAMPLES_TOO_LARGE"
    SAMPLES_MISMATCH = "SAMPLES_MISMATCH"
    SAMPLES_OUT_OF_RANGE = "SAMPLES_OUT_OF_RANGE"
    INPUT_SEMANTICS_MISMATCH = "INPUT_SEMANTICS_MISMATCH"


class SubmissionError(Exception):
    """A refusal with a stable reason and one sentence of advice.

    Attributes:
        reason: The stable reason.
        message: What is wrong, with the figures that show it.
        advice: One sentence on what to do about it.
        metadata: Facts as text, for machines.
    """

    def __init__(
        self,
        reason: SubmissionReason,
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
