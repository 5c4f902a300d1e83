"""Unit flow through nodes with a weight matrix: old units end here, fresh ones begin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from onnxgraph.operators.facet import LinearFacet
from onnxgraph.operators.shrunk import Shrunk
from onnxgraph.operators.step import Placed, Step, placed
from onnxgraph.operators.units import AxisUnits


def linear(step: Step, facet: LinearFacet) -> None:
    """Contracts the data's unit axis and numbers the output's units afresh.

    Args:
        step: The node.
        facet: The node's linear facet, which knows the axes of its weight.
    """
    weight = step.parameter(1)
    if weight is None or not facet.applies(step.call, weight.shape):
        for index in range(step.arity):
            for units in step.layout(index).values():
                step.freeze(units, facet.refusal)
        return
    rank = len(step.dims())
    data_axis = facet.data_axis % rank
    passing: dict[int, AxisUnits] = {}
    for axis, units in step.layout().items():
        if axis == data_axis:
            step.ledger.consume(step.name, axis, units)
        elif facet.keeps_other_axes:
            passing[axis] = units
        else:
            step.freeze(units, "works across an axis that holds units")
    found = [*_passing_grids(step, data_axis)] if facet.keeps_other_axes else []
    output_axis = facet.output_axis(step.call)
    passing[data_axis] = _produce(step, weight.shape[output_axis], output_axis)
    step.emit_all([Placed(passing), *found])


def _passing_grids(step: Step, data_axis: int) -> Iterator[Placed]:
    """Units that are spread over several axes: what the weight mixes of them goes together."""
    for grid in step.grids():
        yield placed(step.tie(grid, {data_axis}))


def _produce(step: Step, count: int, output_axis: int) -> AxisUnits:
    """Fresh units on the weight's output axis and on the bias, where it has one place per unit."""
    units = step.ledger.produce(step.name, count)
    step.ledger.cut_along(step.name, 1, output_axis, units)
    if step.arity < 3 or step.node.inputs[2] is None:
        return units
    bias = step.parameter(2)
    if bias is None:
        step.freeze(units, "has a computed bias")
        return units
    if bias.ndim and bias.shape[-1] == count and count > 1:
        step.ledger.cut_along(step.name, 2, bias.ndim - 1, units)
    return units


def grouped(step: Step) -> None:
    """A Conv of several groups: whole groups of channels and filters go together.

    Where each group holds one channel (depthwise), the units pass and the filters go along. Else
    the channels of a group and its filters are tied into one unit (ResNeXt, RegNet), which ends at
    the next linear node: the kernel itself mixes its channels and takes no repair.
    """
    weight = step.parameter(1)
    channels = step.dims()[1] if len(step.dims()) > 1 else None
    if weight is None or channels is None:
        step.block("has a computed weight or channels of unknown number")
        return
    for axis, units in step.layout().items():
        if axis != 1:
            step.freeze(units, "works across an axis that holds units")
    groups, passing = step.call.integer("group", 1), step.layout().get(1)
    if channels != groups:
        held = AxisUnits.nothing(channels) if passing is None else passing
        step.emit({1: _filters_of_groups(step, held, groups)})
    elif passing is not None:
        step.emit({1: _depthwise_outputs(step, passing, weight.shape[0] // groups)})


def _filters_of_groups(step: Step, channels: AxisUnits, groups: int) -> AxisUnits:
    weight = step.parameter(1)
    assert weight is not None
    filters = step.ledger.produce(step.name, weight.shape[0])
    lines = [axis.units.reshape(groups, -1) for axis in (channels, filters)]
    step.ledger.tie(
        np.concatenate(lines, axis=1), step.reason("has groups whose channels are not all units")
    )
    _cut_filters(step, filters)
    return filters


def _depthwise_outputs(step: Step, units: AxisUnits, multiplier: int) -> AxisUnits:
    copies = np.tile(np.arange(multiplier, dtype=np.int64), units.size)
    passed = AxisUnits(
        np.repeat(units.units, multiplier), np.repeat(units.phase, multiplier) * multiplier + copies
    )
    _cut_filters(step, passed)
    return passed


def _cut_filters(step: Step, filters: AxisUnits) -> None:
    """The kernel and the bias of a grouped Conv follow its filters."""
    step.ledger.cut_along(step.name, 1, 0, filters)
    bias = step.parameter(2)
    if bias is not None:
        step.ledger.cut_along(step.name, 2, 0, filters)
    elif step.arity > 2 and step.node.inputs[2] is not None:
        step.freeze(filters, "has a computed bias")


def groups_shrunk(shrunk: Shrunk) -> None:
    """A grouped Conv that lost whole groups has fewer of them."""
    data, weight = shrunk.node.inputs[0], shrunk.constant(1)
    if shrunk.node.attributes.get_int("group", 1) == 1 or weight is None:
        return
    assert data is not None
    assert data.shape is not None
    channels = data.shape[1]
    assert isinstance(channels, int)
    shrunk.node.attributes["group"] = ir.AttrInt64("group", channels // weight.shape[1])
