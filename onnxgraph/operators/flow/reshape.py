"""Unit flow through Flatten and Reshape: the unit axis may merge with positions and part again."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from onnxgraph.operators.operator import Dims
from onnxgraph.operators.shrunk import Shrunk
from onnxgraph.operators.step import Step
from onnxgraph.operators.units import AxisUnits

_BATCH = 1_000_003
"""Stands for the one symbolic size: a prime that no fixed size of a real graph contains."""


@dataclass(frozen=True)
class _Span:
    """Input axes and output axes that hold the same elements in the same order."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def flattened(step: Step) -> None:
    """Flatten: two axes are left."""
    _follow(step)


def reshaped(step: Step) -> None:
    """Reshape to a constant target."""
    if step.layout() and step.parameter(1) is None:
        step.block("has a target shape that is computed")
        return
    _follow(step)


def reshape_shrunk(shrunk: Shrunk) -> None:
    """Sizes in the target, unless they are inferred (-1) or copied (0), follow the cut."""
    target = shrunk.constant(1)
    if target is None:
        return
    for axis, shortened in shrunk.output().items():
        if target[axis] > 0:
            target[axis] = shortened.left.size
    shrunk.set_constant(1, target)


def _follow(step: Step) -> None:
    layout = step.layout()
    if not layout:
        return
    sizes = _concrete(step.dims(), step.output_dims())
    if sizes is None:
        step.block("has a target shape that cannot be matched with its input")
        return
    before, after = sizes
    spans = _spans(before, after)
    emitted: dict[int, AxisUnits] = {}
    for axis, units in layout.items():
        span = next(span for span in spans if axis in span.inputs)
        moved = _move(units, axis, span, (before, after))
        if moved is None or moved[0] in emitted:
            step.freeze(units, "mixes units with other axes")
        else:
            emitted[moved[0]] = moved[1]
    step.emit(emitted)


def _concrete(before: Dims, after: Dims) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Both shapes with the symbolic size filled in, or None if it stays open."""
    if not before or before.count(None) > 1 or after.count(None) > 1:
        return None
    known = tuple(_BATCH if size is None else size for size in before)
    fixed = prod(size for size in after if size is not None)
    if None in after:
        if fixed == 0 or prod(known) % fixed:
            return None
        rest = prod(known) // fixed
        return known, tuple(rest if size is None else size for size in after)
    return (known, tuple(s for s in after if s is not None)) if fixed == prod(known) else None


def _spans(before: tuple[int, ...], after: tuple[int, ...]) -> list[_Span]:
    """Splits both shapes into the shortest runs of equal products."""
    spans: list[_Span] = []
    left = right = 0
    while left < len(before) or right < len(after):
        start = left, right
        ours = theirs = 1
        while left == start[0] or right == start[1] or ours != theirs:
            if left < len(before) and (ours <= theirs or right == len(after)):
                ours, left = ours * before[left], left + 1
            elif right < len(after):
                theirs, right = theirs * after[right], right + 1
            else:
                break
        spans.append(_Span(tuple(range(start[0], left)), tuple(range(start[1], right))))
    return spans


def _move(
    units: AxisUnits, axis: int, span: _Span, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> tuple[int, AxisUnits] | None:
    """The output axis that holds the units and what stands on it; None if there is no one axis."""
    before = tuple(shapes[0][own] for own in span.inputs)
    after = tuple(shapes[1][own] for own in span.outputs)
    if any(size % _BATCH == 0 for size in before):
        return None
    where = span.inputs.index(axis)
    others = prod(before) // before[where]
    spread = [1] * len(before)
    spread[where] = before[where]
    place = np.arange(others, dtype=np.int64).reshape([*before[:where], 1, *before[where + 1 :]])
    full = np.broadcast_to(units.units.reshape(spread), before).reshape(after)
    phase = (units.phase.reshape(spread) * others + place).reshape(after)
    for position, output in enumerate(span.outputs):
        along = np.moveaxis(full, position, 0).reshape(after[position], -1)
        if (along == along[:, :1]).all():
            phases = np.moveaxis(phase, position, 0).reshape(after[position], -1)[:, 0]
            return output, AxisUnits(along[:, 0].copy(), phases.copy())
    return None
