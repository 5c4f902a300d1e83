"""Unit flow through nodes that work on positions and leave units apart."""

from __future__ import annotations

import numpy as np

from onnxgraph.operators.step import Step
from onnxgraph.operators.units import NO_UNIT, AxisUnits


def pooled(step: Step) -> None:
    """Pools: units on the channel axis pass, units on a pooled axis stay whole."""
    if any(output.uses() for output in step.node.outputs[1:]):
        step.block("has a second output that is used")
        return
    for axis, units in step.layout().items():
        if axis > 1:
            step.freeze(units, "pools over units")
    step.emit({axis: units for axis, units in step.layout().items() if axis < 2})


def padded(step: Step) -> None:
    """Pad: constants may stand beside units on their axis, copies of units may not."""
    rank = len(step.dims())
    if not step.layout():
        return
    pads = step.parameter(1)
    axes: tuple[int, ...] | None = tuple(range(rank))
    if step.arity > 3 and step.node.inputs[3] is not None:
        chosen = step.parameter(3)
        axes = None if chosen is None else tuple(int(a) % rank for a in np.ravel(chosen))
    if pads is None or axes is None:
        step.block("has computed pads")
        return
    before = dict(zip(axes, np.ravel(pads)[: len(axes)].tolist(), strict=True))
    after = dict(zip(axes, np.ravel(pads)[len(axes) :].tolist(), strict=True))
    emitted: dict[int, AxisUnits] = {}
    for axis, units in step.layout().items():
        sides = int(before.get(axis, 0)), int(after.get(axis, 0))
        if sides == (0, 0):
            emitted[axis] = units
        elif min(sides) < 0 or step.call.text("mode", "constant") != "constant":
            step.freeze(units, "crops or repeats units")
        else:
            emitted[axis] = AxisUnits(
                np.pad(units.units, sides, constant_values=NO_UNIT), np.pad(units.phase, sides)
            )
    step.emit(emitted)


def resized(step: Step) -> None:
    """Resize: units of an axis that keeps its size pass; nearest and linear mix no units."""
    if step.layout() and step.parameter(3) is not None and "axes" not in step.call.attributes:
        step.block("names the size of every axis")
        return
    before, after = step.dims(), step.output_dims()
    emitted: dict[int, AxisUnits] = {}
    for axis, units in step.layout().items():
        if before and after and before[axis] is not None and before[axis] == after[axis]:
            emitted[axis] = units
        else:
            step.freeze(units, "resizes an axis that holds units")
    step.emit(emitted)


def rearranged(step: Step) -> None:
    """DepthToSpace and SpaceToDepth: a channel becomes positions, or positions channels."""
    step.block("moves units to positions or positions to units")


def spread_out(step: Step) -> None:
    """ConvTranspose: its own filters and the units that it reads stay whole."""
    step.block("is a transposed convolution")
    weight = step.parameter(1)
    if weight is not None:
        filters = weight.shape[1] * step.call.integer("group", 1)
        step.freeze(step.ledger.produce(step.name, filters), "is a transposed convolution")


def channels_mixed(step: Step) -> None:
    """LRN: a channel is normalised by its neighbours; units of other axes pass."""
    for axis, units in step.layout().items():
        if axis == 1:
            step.freeze(units, "normalises a unit by its neighbours")
    step.emit({axis: units for axis, units in step.layout().items() if axis != 1})
