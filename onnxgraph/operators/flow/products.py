"""Unit flow through products of two computed values: the two products of an attention head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxgraph.operators.step import Placed, Step, placed
from onnxgraph.operators.units import AxisUnits

_APART = "joins units with values that are not cut with them"


@dataclass(frozen=True)
class _Side:
    """One operand once its contracted axis is gone, on the output's axes.

    Attributes:
        parts: Where its units stand.
        repeats: Axes of the output that it does not have, or has one place of only.
    """

    parts: tuple[Placed, ...]
    repeats: frozenset[int]


def product(step: Step) -> None:
    """MatMul of two computed values, `(…, M, K) @ (…, K, N)`.

    Units of a contracted axis are not separable from each other: those of a grid become one unit
    (a head's places), those of a plain axis stay whole. Other axes pass; shared ones couple.
    """
    ranks = [len(step.dims(index)) for index in (0, 1)]
    rank = len(step.output_dims())
    if min(ranks) < 2 or rank != max(ranks):
        step.block("multiplies vectors, or values of unknown shape")
        return
    left, right = _side(step, 0, rank), _side(step, 1, rank)
    found = [*left.parts, *right.parts]
    for one in left.parts:
        for two in right.parts:
            if _axes(one) & _axes(two):
                _couple(step, one, two)
                fewer = min(one, two, key=lambda part: len(_axes(part)))
                found = [part for part in found if part is not fewer]
    for side, other in ((left, right), (right, left)):
        for part in side.parts:
            _check_met(step, part, other)
    step.emit_all(found)


def _side(step: Step, index: int, rank: int) -> _Side:
    own = len(step.dims(index))
    shift, contracted = rank - own, own - 1 if index == 0 else own - 2
    parts = []
    for axis, units in step.layout(index).items():
        if axis == contracted:
            step.freeze(units, "contracts units of two computed values")
        else:
            parts.append(Placed({axis + shift: units}))
    for grid in step.grids(index):
        axes, spread, phase = step.tie(grid, {contracted})
        parts.append(placed((tuple(axis + shift for axis in axes), spread, phase)))
    dims = step.dims(index)
    free = {rank - 1} if index == 0 else {rank - 2}
    repeats = {axis for axis in range(rank) if axis < shift or dims[axis - shift] == 1}
    return _Side(tuple(parts), frozenset(repeats | free))


def _couple(step: Step, one: Placed, two: Placed) -> None:
    """Joins the units of two operands on the axis that both have."""
    shared = _axes(one) & _axes(two)
    if len(shared) > 1:
        step.ledger.freeze(np.concatenate([one.units, two.units]), step.reason(_APART))
        return
    axis = min(shared)
    reason = step.reason("joins units of different places")
    step.ledger.couple(_across(step, one, axis), _across(step, two, axis), reason)


def _across(step: Step, part: Placed, axis: int) -> AxisUnits:
    """The units of a part as slices across one axis."""
    for grid in part.grids:
        return step.across(grid, axis)
    units = part.layout[axis].units
    return AxisUnits(units, np.zeros_like(units))


def _check_met(step: Step, part: Placed, other: _Side) -> None:
    """Freezes units on a shared axis along which the other operand is not cut."""
    for axis in _axes(part) - other.repeats:
        if not any(axis in _axes(theirs) for theirs in other.parts):
            step.ledger.freeze(part.units, step.reason(_APART))


def _axes(part: Placed) -> set[int]:
    return {*part.layout, *(axis for grid in part.grids for axis in grid.axes)}


def mixed_from_left(step: Step) -> None:
    """MatMul with a constant on the left: rows of the data are mixed, columns pass.

    Units of the mixed axis stay whole: the node is not a linear layer on its last axis (exporters
    write token mixing with Transposes around one that is).
    """
    rank, weight = len(step.dims(1)), step.parameter(0)
    if weight is None or weight.ndim > 2 or rank < 2 or rank != len(step.output_dims()):
        step.block("multiplies by a constant on the left that is no matrix")
        return
    found = []
    for axis, units in step.layout(1).items():
        if axis == rank - 2:
            step.freeze(units, "mixes units by a constant on its left")
        else:
            found.append(Placed({axis: units}))
    for grid in step.grids(1):
        labels = step.tie(grid, {rank - 2})
        found.append(placed(labels))
    step.emit_all(found)
