"""Unit flow through nodes that take some places of an axis: Slice and Gather."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.lookup import constant_of
from onnxgraph.operators.operator import Dims
from onnxgraph.operators.shrunk import Shrunk
from onnxgraph.operators.step import Placed, Step, placed
from onnxgraph.operators.units import AxisUnits, Grid, Indices


def sliced(step: Step) -> None:
    """Slice: positions may be cropped, and a unit axis to a range of its places.

    Units that are spread over the axis and others become one unit along it.
    """
    if not step.layout() and not step.grids():
        return
    ranges = _ranges(step.node, step.dims())
    if ranges is None:
        step.block("has computed bounds")
        return
    emitted = dict(step.layout())
    for axis, taken in ranges.items():
        units = emitted.pop(axis, None)
        if units is None:
            continue
        if taken.step == 1:
            emitted[axis] = AxisUnits(
                units.units[taken.start : taken.stop], units.phase[taken.start : taken.stop]
            )
        else:
            step.freeze(units, "takes units in steps")
    grids = []
    for grid in step.grids():
        cropped = grid
        for axis in set(ranges) & set(grid.axes):
            step.tie(cropped, {axis})
            cropped = cropped.take(axis, np.array(ranges[axis], dtype=np.int64))
        grids.append(cropped)
    step.emit(emitted, tuple(grids))


def slice_shrunk(shrunk: Shrunk) -> None:
    """The bounds of a Slice stand where they stood, before the same units."""
    node, lost = shrunk.node, shrunk.input()
    starts, ends = shrunk.constant(1), shrunk.constant(2)
    assert starts is not None
    assert ends is not None
    rank = len(node.inputs[0].shape or ()) if node.inputs[0] is not None else 0
    for place, axis in enumerate(_axes(node, rank) or ()):
        if axis in lost:
            taken = range(lost[axis].size)[slice(int(starts[place]), int(ends[place]))]
            starts[place] = lost[axis].moved(taken.start)
            ends[place] = lost[axis].moved(taken.stop)
    shrunk.set_constant(1, starts)
    shrunk.set_constant(2, ends)


def gathered(step: Step) -> None:
    """Gather by constant indices: units may be reordered, repeated and left out."""
    indices, moves = step.parameter(1), bool(step.layout() or step.grids())
    if step.layout(1) or (moves and indices is None):
        step.block("gathers by computed indices")
        return
    if not moves or indices is None:
        return
    axis = step.call.integer("axis", 0) % len(step.dims())
    emitted: dict[int, AxisUnits] = {}
    for own, units in step.layout().items():
        if own != axis:
            emitted[own if own < axis else own + indices.ndim - 1] = units
        elif indices.ndim == 1:
            emitted[own] = _taken(units, indices.astype(np.int64) % units.size)
        else:
            step.freeze(units, "gathers single units")
    step.emit_all([Placed(emitted), *(_picked(step, g, axis, indices) for g in step.grids())])


def _picked(step: Step, grid: Grid, axis: int, indices: NDArray[Any]) -> Placed:
    """Units that are spread over the gathered axis and others become one unit along it."""
    places = {own: own if own < axis else own + indices.ndim - 1 for own in grid.axes}
    if axis not in grid.axes:
        return Placed(grids=(grid.moved(places),))
    step.tie(grid, {axis})
    taken = grid.take(axis, indices.reshape(-1).astype(np.int64))
    if indices.ndim == 1:
        return Placed(grids=(taken,))
    if indices.ndim > 1:
        step.freeze(grid, "gathers units by a table of indices")
        return Placed()
    axes, units, phase = taken.without({axis})
    return placed((tuple(places[own] for own in axes), units, phase))


def gather_shrunk(shrunk: Shrunk) -> None:
    """The indices of a Gather follow their units."""
    node, indices = shrunk.node, shrunk.constant(1)
    data = node.inputs[0]
    if indices is None:  # An embedding.
        return
    assert data is not None
    axis = node.attributes.get_int("axis", 0) % len(data.shape or ())
    lost, left = shrunk.input().get(axis), shrunk.output().get(axis)
    if lost is None or left is None or indices.ndim != 1:
        return
    shrunk.set_constant(1, np.searchsorted(lost.left, (indices % lost.size)[left.left]))


def _taken(units: AxisUnits, indices: Indices) -> AxisUnits:
    """Places by index; the second copy of a place is another place of its unit."""
    seen: dict[int, int] = {}
    copy = np.zeros(indices.size, dtype=np.int64)
    for place, index in enumerate(indices.tolist()):
        copy[place] = seen.get(index, 0)
        seen[index] = copy[place] + 1
    later = 1 + int(units.phase.max(initial=0))
    return AxisUnits(units.units[indices], units.phase[indices] + later * copy)


def _ranges(node: ir.Node, dims: Dims) -> dict[int, range] | None:
    """The places that a Slice takes by axis; of an axis of open size, nothing but its name.

    None if a bound is computed.
    """
    bounds = [_integers(node, index) for index in (1, 2, 4)]
    axes = _axes(node, len(dims))
    starts, ends, steps = bounds
    if axes is None or starts is None or ends is None or steps is None:
        return None
    strides = steps or [1] * len(starts)
    return {
        axis: range(dims[axis] or 0)[slice(start, end, stride)]
        for axis, start, end, stride in zip(axes, starts, ends, strides, strict=True)
    }


def _axes(node: ir.Node, rank: int) -> Sequence[int] | None:
    axes, starts = _integers(node, 3), _integers(node, 1)
    if axes is None or starts is None:
        return None
    return [axis % rank for axis in axes] if axes else list(range(len(starts)))


def _integers(node: ir.Node, index: int) -> list[int] | None:
    """The constant at an input, empty if there is no such input, None if it is computed."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        return []
    tensor = constant_of(value)
    return None if tensor is None else [int(number) for number in np.ravel(tensor.numpy())]
