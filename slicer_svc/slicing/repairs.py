"""Repairs R of a group at one consumer: fitted, applied to values, and taken apart."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.groups import Consumer
from slicer_svc.slicing.ridge import ridge

Units = NDArray[np.int64]

REPAIR_RIDGE = 1e-2
"""λ of a repair, as a share of the kept activations' mean energy."""


def fit_repair(
    gram: NDArray[np.float64], cross: NDArray[np.float64], kept: Units
) -> NDArray[np.float64]:
    """R with a ≈ R·a_S: ridge regression of all units on the kept ones.

    Pulled towards keeping the kept units as they are and the dropped ones at zero, which is what
    comes out where the kept units are dead.

    Args:
        gram: Σ w·ã·ãᵀ of the kept units in the sliced network, `(s, s)`.
        cross: Σ w·ã·aᵀ with all units of the original, `(s, u)`.
        kept: The kept units, sorted `(s,)`.

    Returns:
        R, float64 `(u, s)`.
    """
    centre = np.eye(cross.shape[1])[kept]
    damping = REPAIR_RIDGE * float(np.trace(gram)) / len(gram)
    return ridge(gram, cross, centre, damping).T


def widened(repair: NDArray[np.float64], kept: Units) -> NDArray[np.float64]:
    """A repair `(u, s)` as `(u, u)`: columns of dropped units are zero."""
    full = np.zeros((len(repair), len(repair)))
    full[:, kept] = repair
    return full


def mixed(value: Tensor, consumer: Consumer, repair: Tensor) -> Tensor:
    """A value with a consumer's units replaced by R times them, at every place of a block.

    Args:
        value: What the consumer reads, at full width.
        consumer: Where the units stand.
        repair: R, `(u, u)`, of the value's type.

    Returns:
        A value of the same shape; differentiable in `value` and `repair`.
    """
    places = torch.from_numpy(np.array(consumer.positions.T)).to(value.device)
    moved = value.movedim(consumer.unit_axis, -1)
    units = moved[..., places] @ repair.T
    flat = units.reshape(*moved.shape[:-1], -1)
    return moved.index_copy(-1, places.reshape(-1), flat).movedim(-1, consumer.unit_axis)


def restored(
    value: Tensor,
    reads: Mapping[str, Consumer],
    repairs: Mapping[str, NDArray[np.float64]],
    places: Units,
    width: int,
) -> Tensor:
    """A cut value brought back to full width by its repairs.

    Args:
        value: The cut value; its places are `places` of the full axis.
        reads: By group, where its units stand at full width.
        repairs: By group, R as `(u, u)`; a group without one keeps all of its units.
        places: The kept places, sorted.
        width: Places at full width.

    Returns:
        The value at full width.
    """
    axis = next(iter(reads.values())).unit_axis
    moved = value.movedim(axis, -1)
    blank = moved.new_zeros(*moved.shape[:-1], width)
    full = blank.index_copy(-1, torch.from_numpy(places).to(value.device), moved).movedim(-1, axis)
    for group, repair in repairs.items():
        full = mixed(full, reads[group], torch.from_numpy(repair).to(full))
    return full
