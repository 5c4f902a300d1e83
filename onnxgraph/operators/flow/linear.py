"""Unit flow through nodes with a weight matrix: old units end here, fresh ones begin."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxgraph.operators.facet import LinearFacet
from onnxgraph.operators.shrunk import Shrunk
from onnxgraph.operators.step import Step
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
    output_axis = facet.output_axis(step.call)
    passing[data_axis] = _produce(step, weight.shape[output_axis], output_axis)
    step.emit(passing)


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


def depthwise(step: Step) -> None:
    """A grouped Conv whose groups hold one input channel each: units pass, its rows go along."""
    weight = step.parameter(1)
    channels = step.dims()[1] if len(step.dims()) > 1 else None
    groups = step.call.integer("group", 1)
    if weight is None or channels is None or groups != channels:
        step.block("mixes channels within its groups or has a computed weight")
        _whole_output(step)
        return
    for axis, units in step.layout().items():
        if axis != 1:
            step.freeze(units, "works across an axis that holds units")
    passing = step.layout().get(1)
    if passing is not None:
        step.emit({1: _depthwise_outputs(step, passing, weight.shape[0] // groups)})


def _depthwise_outputs(step: Step, units: AxisUnits, multiplier: int) -> AxisUnits:
    copies = np.tile(np.arange(multiplier, dtype=np.int64), units.size)
    passed = AxisUnits(
        np.repeat(units.units, multiplier), np.repeat(units.phase, multiplier) * multiplier + copies
    )
    step.ledger.cut_along(step.name, 1, 0, passed)
    bias = step.parameter(2)
    if bias is not None:
        step.ledger.cut_along(step.name, 2, 0, passed)
    elif step.arity > 2 and step.node.inputs[2] is not None:
        step.freeze(passed, "has a computed bias")
    return passed


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


def _whole_output(step: Step) -> None:
    """Reports a grouped Conv's own filters as whole: its groups must keep equal sizes."""
    weight = step.parameter(1)
    if weight is not None:
        units = step.ledger.produce(step.name, weight.shape[0])
        step.freeze(units, "mixes channels within its groups")
