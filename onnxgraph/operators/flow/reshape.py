"""Unit flow through Flatten and Reshape: the unit axis may merge with positions and part again."""

from __future__ import annotations

from onnxgraph.operators.flow.spans import Regrouping, labels_of
from onnxgraph.operators.shrunk import Shrunk
from onnxgraph.operators.step import Placed, Step, placed
from onnxgraph.operators.units import AxisUnits, Grid


def flattened(step: Step) -> None:
    """Flatten: two axes are left."""
    _follow(step)


def reshaped(step: Step) -> None:
    """Reshape to a constant target."""
    if (step.layout() or step.grids()) and step.parameter(1) is None:
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
    sources: list[tuple[int, AxisUnits | Grid]] = [
        *step.layout().items(),
        *((grid.axes[0], grid) for grid in step.grids()),
    ]
    if not sources:
        return
    open_sizes = [units.size for axis, units in step.layout().items() if step.dims()[axis] is None]
    regrouping = Regrouping.of(step.dims(), step.output_dims(), *open_sizes)
    if regrouping is None:
        step.block("has a target shape that cannot be matched with its input")
        return
    found: list[Placed] = []
    taken: set[int] = set()
    for axis, source in sources:
        moved = regrouping.move(labels_of(source, axis))
        if moved is None or taken & set(moved[0]):
            step.freeze(source, "mixes units with other axes")
            continue
        taken |= set(moved[0])
        found.append(placed(moved))
    step.emit_all(found)
