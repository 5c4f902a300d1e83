"""Where a part can be put into a target: pairs of places, from the last to the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, prod

import onnx_ir as ir

from onnxgraph.cuts import CutPoint, cut_points
from packer_svc.fusion.errors import FusionError, FusionReason

INPUTS = "inputs"
"""The first position, R = 0: the whole part stands beside the target."""

MOST = 8
"""How many positions are tried: of a deeper target as many, spread evenly."""

_MAX_TOLD = 20


@dataclass(frozen=True)
class Splice:
    """One position behind which a part is put in.

    Attributes:
        target: Where the target is left.
        part: Where the part is entered: as far as its tensor goes, in front of it nothing stays.
    """

    target: CutPoint
    part: CutPoint

    def held_bytes(self, samples: int) -> int:
        """What both tensors take in memory, the target's at the size of the part's."""
        (mine, *_), (theirs, *sizes) = self.target.shape, self.part.shape
        values = max(prod(self.target.shape), mine * prod(sizes)) + theirs * prod(sizes)
        return samples * values * 4


def splices(target: ir.Model, part: ir.Model) -> tuple[Splice, ...]:
    """The positions at which the target can be left, from the last to the first.

    Each is paired with that place of the part which has a tensor of the same rank, of the nearest
    size of its maps, and of those the nearest depth: the part may be of another architecture.

    Args:
        target: The target, with the outputs of a fragment.
        part: What is put in, likewise.
    """
    entries = cut_points(part)
    found = []
    for leave in reversed(cut_points(target)):
        alike = [one for one in entries if len(one.shape) == len(leave.shape)]
        if alike:
            found.append(Splice(leave, min(alike, key=lambda one: _distance(leave, one))))
    return _spread(found)


def splice_named(found: Sequence[Splice], name: str) -> Splice:
    """The position of a name.

    Raises:
        FusionError: `CLONE_POSITION_UNKNOWN`.
    """
    for splice in found:
        if splice.target.value == name:
            return splice
    known = [INPUTS, *(one.target.value for one in found)]
    raise FusionError(
        FusionReason.CLONE_POSITION_UNKNOWN,
        f"The target has no position {name!r}; it has {', '.join(known[:_MAX_TOLD])}.",
        advice="Name one of these, or leave the position out to have it chosen.",
        metadata={"position": name, "positions": ",".join(known[:_MAX_TOLD])},
    )


def _distance(leave: CutPoint, entry: CutPoint) -> tuple[float, float]:
    sizes = zip(leave.shape[1:], entry.shape[1:], strict=True)
    scale = sum(abs(log(mine / theirs)) for mine, theirs in sizes)
    return scale, abs(leave.depth - entry.depth)


def _spread(found: list[Splice]) -> tuple[Splice, ...]:
    if len(found) <= MOST:
        return tuple(found)
    step = (len(found) - 1) / (MOST - 1)
    return tuple(found[round(place * step)] for place in range(MOST))
