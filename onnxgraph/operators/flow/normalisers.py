"""Unit flow through normalisers: the places that a mean or a variance is taken over."""

from __future__ import annotations

import onnx_ir as ir

from onnxgraph.operators.flow.axes import NORMALISES, mixed
from onnxgraph.operators.shrunk import Shrunk
from onnxgraph.operators.step import Step
from onnxgraph.operators.units import AxisUnits


def trailing(step: Step) -> None:
    """LayerNormalization and RMSNormalization: all axes from `axis` on.

    Scale and bias hold one place for each place of those axes, so they stay as they are.
    """
    rank = len(step.dims())
    if _followed(step):
        mixed(step, set(range(step.call.integer("axis", -1) % rank, rank)), NORMALISES)


def by_norm(step: Step) -> None:
    """LpNormalization: one axis."""
    rank = len(step.dims())
    if _followed(step):
        mixed(step, {step.call.integer("axis", -1) % rank}, NORMALISES)


def by_channel(step: Step) -> None:
    """InstanceNormalization: every channel over its positions; scale and bias are cut along."""
    if not _followed(step):
        return
    channels = [units for axis, units in step.layout().items() if axis == 1]
    channels += [step.across(grid, 1) for grid in step.grids() if 1 in grid.axes]
    mixed(step, set(range(2, len(step.dims()))), NORMALISES)
    for units in channels:
        _cut_parameters(step, units)


def by_group(step: Step) -> None:
    """GroupNormalization: the channels of one group go together; there are fewer groups then."""
    if not _followed(step):
        return
    units = step.layout().get(1)
    mixed(step, set(range(2, len(step.dims()))), NORMALISES)
    if units is None:
        return
    groups = step.call.integer("num_groups", 1)
    lines = units.units.reshape(groups, -1)
    step.ledger.tie(lines, step.reason("normalises units together with places that hold none"))
    _cut_parameters(step, units)


def groups_shrunk(shrunk: Shrunk) -> None:
    """As many channels in each group as before."""
    channels = shrunk.input().get(1)
    if channels is not None:
        groups = shrunk.node.attributes["num_groups"].as_int() * channels.left.size
        shrunk.node.attributes["num_groups"] = ir.AttrInt64("num_groups", groups // channels.size)


def _cut_parameters(step: Step, units: AxisUnits) -> None:
    for index in range(1, step.arity):
        if step.parameter(index) is None:
            step.freeze(units, "has a computed scale or bias")
        else:
            step.ledger.cut_along(step.name, index, 0, units)


def _followed(step: Step) -> bool:
    if not step.dims() or any(output.uses() for output in step.node.outputs[1:]):
        step.block("has an unknown input shape or a second output that is used")
        return False
    return True
