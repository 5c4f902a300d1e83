"""What Triton's refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tritonclient.utils import InferenceServerException

from serving.errors import (
    InferenceFailedError,
    InvalidInferenceError,
    ModelLoadError,
    ModelNotServedError,
    ServingError,
    StubDiedError,
    TritonDeadlineError,
    TritonSecretError,
    TritonUnavailableError,
)

_BY_STATUS: Final[Mapping[str, tuple[type[ServingError], str]]] = {
    "UNAVAILABLE": (TritonUnavailableError, "Triton is starting or down; try again shortly."),
    "DEADLINE_EXCEEDED": (TritonDeadlineError, "Try again, or allow more time."),
    "NOT_FOUND": (ModelNotServedError, "Look up the deployments that are ready."),
    "INVALID_ARGUMENT": (InvalidInferenceError, "Send the inputs that the model's metadata lists."),
}


def typed(exception: InferenceServerException) -> ServingError:
    """The typed error of a failed call. Triton's codes are coarse, so its words decide some."""
    text = exception.message() or ""
    status = (exception.status() or "").removeprefix("StatusCode.")
    if "protocol is restricted" in text:
        # Triton says UNAVAILABLE here, which would invite to try again for ever.
        return TritonSecretError(text, advice="Only the reconciler may change what Triton serves.")
    if "is not at ready state" in text:
        # Also UNAVAILABLE: a version that is on its way out, or was never loaded.
        return ModelNotServedError(text, advice=_BY_STATUS["NOT_FOUND"][1])
    if "is not healthy" in text:
        return StubDiedError(text, advice="The reconciler loads the model anew; try again shortly.")
    kind, advice = _BY_STATUS.get(
        status, (InferenceFailedError, "Look at the message and at Triton's log.")
    )
    return kind(text, advice=advice)


def load_refusal(name: str, error: ServingError) -> ModelLoadError:
    """The error of a load that Triton refused.

    Args:
        name: The model.
        error: What `typed` made of it.
    """
    advice = "Look at Triton's reason: pack or configuration does not fit."
    if "no GPUs are available" in error.message:
        advice = "Give Triton's container a GPU, or set the reconciler's instance_kind to KIND_CPU."
    return ModelLoadError(f"Triton could not load {name!r}: {error.message}", advice=advice)
