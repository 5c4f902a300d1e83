"""Units that are spread over several axes and meet other operands by numpy's broadcasting."""

from __future__ import annotations

import numpy as np

from onnxgraph.operators.step import Step
from onnxgraph.operators.units import AxisUnits, Grid, Grids


def spread_meet(step: Step, rank: int) -> Grids:
    """The grids of a broadcasting node's output, coupled with whatever else meets them.

    Args:
        step: A node whose operands meet by broadcasting.
        rank: The rank of its output.
    """
    found: list[tuple[int, Grid]] = []
    for index in range(step.arity):
        shift = rank - len(step.dims(index))
        places = {axis: axis + shift for axis in range(len(step.dims(index)))}
        found += [(index, grid.moved(places)) for grid in step.grids(index)]
    kept: dict[tuple[int, ...], Grid] = {}
    for index, grid in found:
        first = kept.get(grid.axes)
        if first is not None:
            reason = step.reason("joins units of different places")
            step.ledger.couple(first.flat, grid.flat, reason)
        elif any(set(grid.axes) & set(axes) for axes in kept):
            step.freeze(grid, "joins units that are spread over different axes")
        else:
            kept[grid.axes] = grid
            for other in range(step.arity):
                if other != index:
                    _join(step, grid, other, rank)
    return tuple(kept.values())


def _join(step: Step, grid: Grid, index: int, rank: int) -> None:
    """Couples a grid, on output axes, with one other operand."""
    dims = step.dims(index)
    shift = rank - len(dims)
    if any({axis + shift for axis in other.axes} == set(grid.axes) for other in step.grids(index)):
        return  # Coupled as a grid of the same axes.
    met = {axis: u for axis, u in step.layout(index).items() if axis + shift in grid.axes}
    covered = [axis for axis in grid.axes if axis >= shift and dims[axis - shift] != 1]
    constant = step.parameter(index) is not None
    if constant and len(covered) == 1 and covered != [grid.axes[-1]]:
        along = step.across(grid, covered[0])
        step.ledger.cut_along(step.name, index, covered[0] - shift, along)
    elif len(met) == 1:
        ((axis, units),) = met.items()
        flat = AxisUnits(units.units, np.zeros_like(units.phase))
        along = step.across(grid, axis + shift)
        step.ledger.couple(along, flat, step.reason("joins units of different places"))
    elif not met and len(covered) < len(grid.axes):
        step.tie(grid, covered)  # The same for every head: stays as it is while heads are cut.
    else:
        step.freeze(grid, "joins units that are spread over several axes with other values")
        for units in met.values():
            step.freeze(units, "joins units with values that are spread over several axes")
