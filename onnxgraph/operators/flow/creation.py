"""Unit flow through Expand and Tile: places are repeated."""

from __future__ import annotations

import numpy as np

from onnxgraph.operators.shrunk import Shrunk
from onnxgraph.operators.step import Placed, Step
from onnxgraph.operators.units import AxisUnits


def expanded(step: Step) -> None:
    """Expand: units pass where their axis keeps its size; one place is not made many."""
    if not step.layout() and not step.grids():
        return
    rank, own = len(step.output_dims()), len(step.dims())
    if step.parameter(1) is None or not rank or not own:
        step.block("has a target shape that is computed")
        return
    sizes, dims = step.output_dims()[rank - own :], step.dims()
    found = []
    for axis, units in step.layout().items():
        if dims[axis] == sizes[axis]:
            found.append(Placed({axis + rank - own: units}))
        else:
            step.freeze(units, "repeats a single unit along an axis")
    places = {axis: axis + rank - own for axis in range(own)}
    found += [Placed(grids=(grid.moved(places),)) for grid in step.grids()]
    step.emit_all(found)


def expand_shrunk(shrunk: Shrunk) -> None:
    """A target of 1 keeps what the input has there."""
    target = shrunk.constant(1)
    if target is None:
        return
    for axis in shrunk.output():
        target[axis - len(shrunk.node.outputs[0].shape or ())] = 1
    shrunk.set_constant(1, target)


def tiled(step: Step) -> None:
    """Tile: each copy of a unit is another place of it."""
    times = step.parameter(1)
    if times is None:
        step.block("has computed repeats")
        return
    emitted: dict[int, AxisUnits] = {}
    for axis, units in step.layout().items():
        copies = np.repeat(np.arange(int(times[axis]), dtype=np.int64), units.size)
        later = 1 + int(units.phase.max(initial=0))
        emitted[axis] = AxisUnits(
            np.tile(units.units, int(times[axis])),
            np.tile(units.phase, int(times[axis])) + later * copies,
        )
    step.emit(emitted)
