"""Unit flow through nodes that act place by place."""

from __future__ import annotations

from onnxgraph.operators.flow.spread import spread_meet
from onnxgraph.operators.step import Step
from onnxgraph.operators.units import AxisUnits


def same(step: Step) -> None:
    """One input, one output, nothing moves (activations, Cast, Identity, Dropout)."""
    used = [output for output in step.node.outputs[1:] if output.uses()]
    if used:
        step.block("has a second output that is used")
    else:
        step.emit(step.layout(), step.grids())


def broadcast(step: Step) -> None:
    """Operands meet by numpy's broadcasting (Add, Mul).

    A constant operand is cut along with the units that it meets. Two computed operands couple
    their units: a residual Add, a squeeze-excite gate, a gated product.
    """
    rank = len(step.output_dims())
    if not rank and any(step.layout(index) or step.grids(index) for index in range(step.arity)):
        step.block("has an unknown output shape")
        return
    grids = spread_meet(step, rank)
    spread = {axis for grid in grids for axis in grid.axes}
    merged: dict[int, AxisUnits] = {}
    for axis in range(rank):
        axis_units = None if axis in spread else _meet(step, axis, rank)
        if axis_units is not None:
            merged[axis] = axis_units
    step.emit(merged, grids)


def _meet(step: Step, axis: int, rank: int) -> AxisUnits | None:
    """The units on one output axis, all operands together."""
    size = step.output_dims()[axis]
    places = []
    for index in range(step.arity):
        own = axis - rank + len(step.dims(index))
        places.append((index, own, step.dims(index)[own] if own >= 0 else 1))
    found = [step.layout(index).get(own) for index, own, _ in places]
    if not any(found):
        return None
    if size is None:
        return _meet_merged(step, [units for units in found if units is not None], places)
    result: AxisUnits | None = None
    for (index, _, dim), units in zip(places, found, strict=True):
        if dim == 1 and size != 1:
            if units is not None:
                step.freeze(units, "repeats a single unit along an axis")
            continue
        if step.parameter(index) is not None:
            continue
        operand = units if units is not None else AxisUnits.nothing(size)
        if result is not None:
            result = step.ledger.couple(
                result, operand, step.reason("joins units with values that are not cut with them")
            )
        else:
            result = operand
    if result is None:
        return None
    for index, own, dim in places:
        if dim == size and size != 1 and step.parameter(index) is not None:
            step.ledger.cut_along(step.name, index, own, result)
    return result


def _meet_merged(
    step: Step, found: list[AxisUnits], places: list[tuple[int, int, int | None]]
) -> AxisUnits | None:
    """The units on an axis that the batch is merged into: every operand has them, or is spread."""
    sizes = {units.size for units in found}
    if len(sizes) > 1 or sum(dim != 1 for _, _, dim in places) != len(found):
        step.block("joins a batch of units with values that are not cut with them")
        return None
    result = found[0]
    for units in found[1:]:
        result = step.ledger.couple(result, units, step.reason("joins units of different places"))
    return result


def per_channel(step: Step) -> None:
    """BatchNormalization: every further input holds one place per channel and is cut along."""
    if any(output.uses() for output in step.node.outputs[1:]):
        step.block("has a second output that is used")
        return
    for axis, units in step.layout().items():
        if axis != 1:
            continue
        for index in range(1, step.arity):
            if step.parameter(index) is None:
                step.freeze(units, "has computed statistics")
            else:
                step.ledger.cut_along(step.name, index, 0, units)
    step.emit(step.layout())


def no_units(step: Step) -> None:
    """A node without inputs."""
    step.emit({})
