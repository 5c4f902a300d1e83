"""What can go wrong with names of resources."""

from __future__ import annotations

from collections.abc import Sequence

from sliceandpack.error.v1 import error_reason_pb2 as reasons

from svckit.errors import (
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
)
from svckit.names import listed


def in_use(name: str, packs: Sequence[str]) -> FailedPrecondition:
    """Returns the error for what packs hold references on."""
    return FailedPrecondition(
        reasons.ERROR_REASON_MODEL_IN_USE,
        f"{name} is needed by {listed(packs)}.",
        advice="Delete those packs first, or force the deletion of the model: packs keep copies.",
        metadata={"packs": ",".join(packs)},
    )


def unknown_class(model: str, label: str) -> InvalidArgument:
    """Returns the error for a label that a model does not have."""
    return InvalidArgument(
        reasons.ERROR_REASON_CLASS_UNKNOWN,
        f"{model} has no class {label!r}.",
        advice="Name labels as the model has them; upper and lower case count.",
        metadata={"label": label},
    )


def duplicate_label(label: str) -> InvalidArgument:
    """Returns the error for a label that is given to two classes of one model."""
    return InvalidArgument(
        reasons.ERROR_REASON_LABELS_DUPLICATE,
        f"Two classes are called {label!r}.",
        advice="Give every class of the model a label of its own.",
        metadata={"label": label},
        violations=[FieldViolation("model.labels", f"{label!r} is there twice")],
    )
