"""From the walked graph to unit groups."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from onnxgraph.groups.components import Components
from onnxgraph.groups.reading import read_out
from onnxgraph.groups.trace import Trace, trace
from onnxgraph.groups.types import (
    Consumer,
    ParameterAxis,
    Recurrence,
    UnitGroup,
    ValueAxis,
    WholePart,
)
from onnxgraph.lookup import constant_of
from onnxgraph.operators import TABLE, Call
from onnxgraph.operators.ledger import Consumed
from onnxgraph.operators.recurrence import RECURRENT_WEIGHT
from onnxgraph.operators.step import dims_of
from onnxgraph.operators.units import NO_UNIT, Indices
from onnxgraph.parameters import bias_add, bias_side
from onnxgraph.shapes import with_shapes


class _Whole(Exception):  # noqa: N818
    """A component of coupled units cannot be cut, for the reason it carries."""


@dataclass
class _Parts:
    """What the walk found of one component."""

    values: list[ValueAxis] = field(default_factory=list)
    parameters: list[ParameterAxis] = field(default_factory=list)
    consumed: list[tuple[Consumed, Indices, Indices]] = field(default_factory=list)
    recurring: list[tuple[Consumed, Indices, Indices]] = field(default_factory=list)


def unit_groups(model: ir.Model) -> tuple[tuple[UnitGroup, ...], tuple[WholePart, ...]]:
    """All sets of units that can be cut, and what stays whole with the reason.

    Found by following units through the graph, never by the architecture's name.

    Args:
        model: A graph in normal form (`normalise`).

    Returns:
        Groups and whole parts, each in topological order of their first producer.

    Raises:
        GraphError: `GRAPH_SHAPE_DYNAMIC` or `GRAPH_INVALID` if the graph cannot be followed.
    """
    shaped = with_shapes(model)
    walked = trace(shaped)
    components = Components.of(walked.ledger, walked.layouts.values())
    reasons = walked.ledger.reasons()
    parts = _parts(components, walked)
    groups: list[UnitGroup] = []
    whole: list[WholePart] = []
    for index, members in enumerate(components.members):
        names = tuple(member.node for member in members)
        try:
            _check_cuttable(components, index, reasons)
            named = components.names[index]
            groups.append(_group(named, names, components.sizes[index], parts[index], walked))
        except _Whole as stop:
            whole.append(WholePart(names, str(stop)))
    return tuple(groups), tuple(whole)


def find_group(model: ir.Model, group_id: str) -> UnitGroup:
    """The group `group_id` as it stands in `model` now, after cuts of other groups.

    Raises:
        KeyError: If the model has no such group.
    """
    for group in unit_groups(model)[0]:
        if group.id == group_id:
            return group
    raise KeyError(f"no unit group is called '{group_id}'")


def _parts(components: Components, walked: Trace) -> dict[int, _Parts]:
    """Values, parameters and consumers of every component, each in topological order."""
    parts: dict[int, _Parts] = defaultdict(_Parts)
    for name, layout in walked.layouts.items():
        for axis, units in layout.items():
            for index in components.present(units).tolist():
                numbers = components.numbers(index, units.units)
                parts[index].values.append(ValueAxis(name, axis, numbers))
    for use in walked.ledger.parameters:
        value = walked.nodes[use.node].inputs[use.input]
        for index in components.present(use.units).tolist():
            numbers = components.numbers(index, use.units.units)
            name = "" if value is None else value.name or ""
            parts[index].parameters.append(
                ParameterAxis(use.node, use.input, name, use.axis, numbers)
            )
    for found in (*walked.ledger.consumed, *walked.ledger.recurring):
        for index in components.present(found.units).tolist():
            numbers = components.numbers(index, found.units.units)
            reading = found, numbers, components.phases(found.units)
            if found in walked.ledger.recurring:
                parts[index].recurring.append(reading)
            else:
                parts[index].consumed.append(reading)
    return parts


def _check_cuttable(components: Components, index: int, reasons: dict[int, str]) -> None:
    members = components.members[index]
    for member in members:
        own, places = np.unique(components.roots_of(index, member), return_counts=True)
        for root in own.tolist():
            if root in reasons:
                raise _Whole(reasons[root])
        if (places != places[0]).any():
            raise _Whole(f"'{member.node}' has units of unequal size")
    if components.sizes[index] < 2:
        tied = components.roots_of(index, members[0]).size > 1
        said = "can only lose all of these units at once" if tied else "has a single unit"
        raise _Whole(f"'{members[0].node}' {said}")


def _group(
    name: str, producers: tuple[str, ...], units: int, parts: _Parts, walked: Trace
) -> UnitGroup:
    _check_even(units, parts)
    consumers = tuple(
        _consumer(
            walked.nodes[consumed.node],
            consumed,
            _positions(consumed.node, numbers, phases, units),
            walked,
        )
        for consumed, numbers, phases in parts.consumed
    )
    if not consumers:
        raise _Whole(f"no linear node reads the units of '{producers[0]}'")
    read = read_out(producers[0], consumers[0], parts.values, walked)
    through = dict.fromkeys(walked.producers[axis.value] for axis in parts.values)
    return UnitGroup(
        id=name,
        units=units,
        producers=producers,
        passes=tuple(name for name in through if name not in producers),
        consumers=consumers,
        recurrences=tuple(
            _recurrence(found, _positions(found.node, numbers, phases, units), walked)
            for found, numbers, phases in parts.recurring
        ),
        value=read.value,
        unit_axis=read.axis,
        sample_axis=_sample_axis(read.value, walked),
        parameters=tuple(sorted(parts.parameters, key=lambda use: use.node not in producers)),
        values=tuple(parts.values),
        places=read.places,
    )


def _check_even(units: int, parts: _Parts) -> None:
    """Refuses a parameter that holds some units in more places than others."""
    for use in parts.parameters:
        places = np.bincount(use.units[use.units != NO_UNIT], minlength=units)
        if (places != places[0]).any():
            raise _Whole(f"'{use.node}' holds some of the coupled units more often than others")


def _positions(node: str, numbers: Indices, phases: Indices, units: int) -> Indices:
    """`(units, block)`: the places of each unit, equal positions in equal columns."""
    order = np.lexsort((np.arange(numbers.size), phases, numbers))
    order = order[numbers[order] != NO_UNIT]
    counts = np.bincount(numbers[order], minlength=units)
    if (counts != counts[0]).any():
        raise _Whole(f"'{node}' reads some of the coupled units and not the others")
    places: Indices = order.reshape(units, -1).astype(np.int64)
    if (phases[places] != phases[places[:1]]).any():
        raise _Whole(f"'{node}' reads units at positions of their own")
    places.setflags(write=False)
    return places


def _consumer(node: ir.Node, consumed: Consumed, positions: Indices, walked: Trace) -> Consumer:
    facet = TABLE[node.op_type].linear
    assert facet is not None
    data, weight, add = node.inputs[0], node.inputs[1], bias_add(node)
    place = facet.bias_input
    bias = node.inputs[place] if facet.has_bias_input and len(node.inputs) > place else None
    if add is not None:
        bias = add.inputs[bias_side(add, node.outputs[0])]
    assert data is not None
    assert weight is not None
    block = positions.shape[1]
    return Consumer(
        node=node.name or "",
        value=data.name or "",
        weight=weight.name or "",
        bias=None if bias is None else bias.name,
        unit_axis=consumed.axis,
        sample_axis=_sample_axis(data.name or "", walked),
        block=block,
        units_last=bool(block > 1 and positions[1, 0] < positions[0, -1]),
        offset_exact=not facet.pads_with_zeros(Call.of(node, walked.opset))
        and _constant_bias(bias),
        positions=positions,
    )


def _recurrence(found: Consumed, positions: Indices, walked: Trace) -> Recurrence:
    node = walked.nodes[found.node]
    states, weight = node.outputs[0].name or "", node.inputs[RECURRENT_WEIGHT]
    assert weight is not None
    return Recurrence(
        node=found.node,
        value=states,
        weight=weight.name or "",
        unit_axis=found.axis,
        sample_axis=_sample_axis(states, walked),
        positions=positions,
    )


def _sample_axis(value: str, walked: Trace) -> int:
    """The axis of open size; the first where the batch went into a product."""
    node = walked.nodes[walked.producers[value]]
    dims = next(dims_of(output) for output in node.outputs if output.name == value)
    return dims.index(None) if None in dims else 0


def _constant_bias(bias: ir.Value | None) -> bool:
    return bias is None or constant_of(bias) is not None
