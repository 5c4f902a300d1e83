"""Unit flow through nodes that move, add, remove or reduce axes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from onnxgraph.operators.step import Placed, Step, placed
from onnxgraph.operators.units import AxisUnits, Grid

NORMALISES = "normalises over units"
"""Why units stay whole whose mean, variance or sum they are measured by."""

_OF_ONE = frozenset({"Add", "Mul", "Pow", "Max", "Clip", "Sqrt", "Identity", "Cast"})
"""Operators that a statistic passes on its way to the values that it is taken off."""


def axes_of(step: Step, *, since: int) -> tuple[int, ...] | None:
    """The `axes` of a node: an attribute below opset `since`, the second input from there on.

    Returns None if they are computed or absent.
    """
    if step.call.opset < since:
        return step.call.integers("axes") if "axes" in step.call.attributes else None
    constant = step.parameter(1)
    return None if constant is None else tuple(int(axis) for axis in np.ravel(constant))


def transpose(step: Step) -> None:
    """Axes change places."""
    rank = len(step.dims())
    order = step.call.integers("perm", tuple(reversed(range(rank))))
    step.emit_all([moved_axes(step, {axis: order.index(axis) for axis in range(rank)})])


def squeeze(step: Step) -> None:
    """Axes of size 1 go."""
    rank, dims = len(step.dims()), step.dims()
    axes = axes_of(step, since=13)
    if axes is None and len(step.output_dims()) != rank:
        axes = tuple(axis for axis in range(rank) if dims[axis] == 1)
    gone = {axis % rank for axis in axes or ()}
    _without(step, gone, "removes an axis that holds a unit")


def unsqueeze(step: Step) -> None:
    """Axes of size 1 come."""
    if not step.layout() and not step.grids():
        return
    axes = axes_of(step, since=13)
    if axes is None:
        step.block("has computed axes")
        return
    rank = len(step.dims()) + len(axes)
    fresh = {axis % rank for axis in axes}
    kept = [axis for axis in range(rank) if axis not in fresh]
    step.emit_all([moved_axes(step, dict(enumerate(kept)))])


def reduce(step: Step, *, since: int) -> None:
    """Axes are reduced away; units of those axes are mixed with fixed weights: whole.

    Args:
        step: The node.
        since: The opset from which on its axes are an input.
    """
    rank = len(step.dims())
    if not rank:
        step.block("has an unknown input shape")
        return
    axes = axes_of(step, since=since)
    if axes is None and step.arity > 1 and step.node.inputs[1] is not None:
        step.block("has computed axes")
        return
    if not axes:
        axes = () if step.call.integer("noop_with_empty_axes", 0) else tuple(range(rank))
    reduced = {axis % rank for axis in axes}
    keep = bool(step.call.integer("keepdims", 1))
    why = NORMALISES if _is_taken_off(step.node.outputs[0]) else "reduces over units"
    _without(step, reduced, why, keep=keep)


def _is_taken_off(statistic: ir.Value) -> bool:
    """Whether values are divided by a mean, a norm or a root of it, or the mean is subtracted.

    So normalisers look that are no operator: of layers below opset 17, of global responses (Woo et
    al. 2023).
    """
    for reader in statistic.consumers():
        if reader.op_type in ("Div", "Sub") and reader.inputs[1] is statistic:
            return True
        constants = [v for v in reader.inputs if v is not None and v is not statistic]
        apart = reader.op_type in _OF_ONE and all(v.const_value is not None for v in constants)
        if apart and _is_taken_off(reader.outputs[0]):
            return True
    return False


def normalised(step: Step) -> None:
    """Softmax: units of the axis that is normalised depend on each other and stay whole."""
    rank = len(step.dims())
    if rank:
        mixed(step, {step.call.integer("axis", -1) % rank}, NORMALISES)
    else:
        step.block("has an unknown input shape")


def mixed(step: Step, axes: set[int], why: str) -> None:
    """Places along some axes depend on each other: what stands there is one unit or whole."""
    for own, units in step.layout().items():
        if own in axes:
            step.freeze(units, why)
    for grid in step.grids():
        step.tie(grid, axes)
    step.emit({own: u for own, u in step.layout().items() if own not in axes}, step.grids())


def last_two_mixed(step: Step) -> None:
    """Trilu: the last two axes are masked against each other."""
    rank = len(step.dims())
    if rank < 2:
        step.block("has an unknown input shape")
    else:
        mixed(step, {rank - 2, rank - 1}, "masks units by their places")


def cumulated(step: Step) -> None:
    """CumSum: places along one axis are added up."""
    rank, axis = len(step.dims()), step.parameter(1)
    if axis is None or not rank:
        step.block("has a computed axis")
    else:
        mixed(step, {int(np.ravel(axis)[0]) % rank}, "adds up units")


def moved_axes(step: Step, places: Mapping[int, int], index: int = 0) -> Placed:
    """The units of an input once its axis `a` has become the output's axis `places[a]`."""
    return Placed(
        {places[axis]: units for axis, units in step.layout(index).items()},
        tuple(grid.moved(places) for grid in step.grids(index)),
    )


def concat(step: Step) -> None:
    """Units keep their place along the joined axis and couple along every other one."""
    rank = len(step.output_dims())
    if not any(step.layout(index) or step.grids(index) for index in range(step.arity)):
        return
    joined = step.call.integer("axis", 0) % rank
    if len({tuple(sorted(g.axes for g in step.grids(i))) for i in range(step.arity)}) > 1:
        step.block("joins units that are spread over several axes with values that are not")
        return
    sizes = [step.dims(index)[joined] if step.dims(index) else None for index in range(step.arity)]
    if None in sizes:
        step.block("joins parts of unknown size")
        return
    merged: dict[int, AxisUnits] = {joined: _side_by_side(step, joined)}
    for axis in range(rank):
        if axis == joined or not any(axis in step.layout(i) for i in range(step.arity)):
            continue
        size = step.output_dims()[axis]
        parts = [step.layout(i).get(axis, AxisUnits.nothing(size or 0)) for i in range(step.arity)]
        units = parts[0]
        for part in parts[1:]:
            units = step.ledger.couple(
                units, part, step.reason("joins units with values that are not cut with them")
            )
        merged[axis] = units
    step.emit(merged, tuple(_joined(step, grid, joined) for grid in step.grids()))


def _joined(step: Step, first: Grid, axis: int) -> Grid:
    """Grids over the same axes: side by side along one of these, else coupled."""
    grids = [next(g for g in step.grids(i) if g.axes == first.axes) for i in range(step.arity)]
    if axis not in first.axes:
        for grid in grids[1:]:
            why = step.reason("joins units of different places")
            step.ledger.couple(first.flat, grid.flat, why)
        return first
    for grid in grids:
        step.tie(grid, {axis})
    place = first.axes.index(axis)
    units = np.concatenate([grid.units for grid in grids], axis=place)
    return Grid(first.axes, units, np.concatenate([grid.phase for grid in grids], axis=place))


def _side_by_side(step: Step, axis: int) -> AxisUnits:
    parts: list[AxisUnits] = []
    seen: set[int] = set()
    later = 1 + max(
        (int(u.phase.max()) for i in range(step.arity) for u in [step.layout(i).get(axis)] if u),
        default=0,
    )
    for index in range(step.arity):
        size = step.dims(index)[axis]
        units = step.layout(index).get(axis, AxisUnits.nothing(size or 0))
        roots = {step.ledger.root(unit) for unit in units.present.tolist()}
        if roots & seen:  # The same units once more: other places of theirs.
            units = AxisUnits(units.units, units.phase + later * index)
        seen |= roots
        parts.append(units)
    return AxisUnits(
        np.concatenate([part.units for part in parts]),
        np.concatenate([part.phase for part in parts]),
    )


def _without(step: Step, gone: set[int], why: str, *, keep: bool = False) -> None:
    """Emits the input's units without the axes `gone`, of which size 1 is left with `keep`.

    Units of such an axis stay whole; units that are spread over it and others become one unit.
    """
    kept = [axis for axis in range(len(step.dims())) if keep or axis not in gone]
    places = {axis: place for place, axis in enumerate(kept)}
    found = []
    for axis, units in step.layout().items():
        if axis in gone:
            step.freeze(units, why)
        else:
            found.append(Placed({places[axis]: units}))
    for grid in step.grids():
        axes, spread, phase = step.tie(grid, gone)
        found.append(placed((tuple(places[axis] for axis in axes), spread, phase)))
    step.emit_all(found)
