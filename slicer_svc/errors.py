"""Typed refusals of a submission."""

from enum import StrEnum

from slicer_svc.slicing.errors import SlicingError


class SubmissionReason(StrEnum):
    """Stable reasons; each bears the name that clients see."""

    SAMPLES_UNREADABLE = "SAMPLES_UNREADABLE"
    SAMPLES_TOO_LARGE = "SAMPLES_TOO_LARGE"
    SAMPLES_MISMATCH = "SAMPLES_MISMATCH"
    SAMPLES_OUT_OF_RANGE = "SAMPLES_OUT_OF_RANGE"
    INPUT_SEMANTICS_MISMATCH = "INPUT_SEMANTICS_MISMATCH"


class SubmissionError(SlicingError):
    """A submission is refused; of the same shape as the slicing domain's refusals."""
