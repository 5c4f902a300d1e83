"""What can go wrong with packs of one network of several models' blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sliceandpack.error.v1 import error_reason_pb2 as reasons

from svckit.errors import DataLoss, FailedPrecondition, InvalidArgument, NotFound


def budgets_unreachable(
    budgets: Mapping[str, float], least: Mapping[str, float]
) -> InvalidArgument:
    """Returns the error for budgets that no choice of blocks keeps to.

    Args:
        budgets: By the fields of `ReassemblyBudget`.
        least: The smallest that can be met, all of them the same factor larger.
    """
    # Rounded up, so that what is advised can be had.
    reachable = {name: f"{math.ceil(value * 1e4) / 1e4:.4f}" for name, value in least.items()}
    asked = ", ".join(f"{name} {value:.4g}" for name, value in budgets.items())
    told = ", ".join(f"{name} {value}" for name, value in reachable.items())
    return InvalidArgument(
        reasons.ERROR_REASON_BUDGET_UNREACHABLE,
        f"No choice of blocks keeps to {asked}; the smallest that can be met is {told}.",
        advice="Ask for at least that, or name smaller models as well.",
        metadata={
            **{f"budget_{name}": f"{value:.6f}" for name, value in budgets.items()},
            **{f"least_{name}": value for name, value in reachable.items()},
            "least": next(iter(reachable.values())),
        },
    )


def pack_reassembled(pack: str) -> FailedPrecondition:
    """Returns the error for a change of a pack that is one network."""
    return FailedPrecondition(
        reasons.ERROR_REASON_PACK_REASSEMBLED,
        f"{pack} is one reassembled network: it has no fragments to add to or to remove.",
        advice="Reassemble again with the classes that are wanted.",
        metadata={"pack": pack},
    )


def fed_otherwise(first: str, second: str) -> InvalidArgument:
    """Returns the error for a model whose inputs are not those of the others."""
    return InvalidArgument(
        reasons.ERROR_REASON_FRAGMENTS_INCOMPATIBLE,
        f"{second} is fed otherwise than {first}: blocks of both cannot be one network.",
        advice="Name models with the same inputs: names, shapes, layout and normalisation.",
        metadata={"first": first, "second": second, "field": "inputs"},
    )


def model_lost(model: str, cause: NotFound | DataLoss) -> NotFound | DataLoss:
    """Returns the error for a model of which the slicer has a row, and not all files.

    Args:
        model: The model's name.
        cause: What the slicer said of the file.
    """
    return type(cause)(
        cause.reason,
        f"The slicer has lost a file of {model}: {cause.message}",
        advice="Restore the slicer's artifacts from a backup or submit the model again, or name "
        "other models.",
        metadata={**cause.metadata, "model": model},
    )
