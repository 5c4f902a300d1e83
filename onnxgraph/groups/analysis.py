"""From the walked graph to unit groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxgraph.groups.reading import read_out
from onnxgraph.groups.trace import Trace, trace
from onnxgraph.groups.types import Consumer, ParameterAxis, UnitGroup, ValueAxis, WholePart
from onnxgraph.lookup import constant_of, opset_of
from onnxgraph.operators import TABLE, Call
from onnxgraph.operators.ledger import Consumed
from onnxgraph.operators.units import NO_UNIT, Indices
from onnxgraph.parameters import bias_add, bias_side
from onnxgraph.shapes import with_shapes


class _Whole(Exception):  # noqa: N818
    """A component of coupled units cannot be cut, for the reason it carries."""


@dataclass(frozen=True, eq=False)
class _Component:
    """Producers that share units, and the number of each unit within the component."""

    producers: tuple[str, ...]
    number: dict[int, int]

    def numbers(self, roots: Indices) -> Indices:
        """Units of this component, numbered from 0, by representative; -1 for others."""
        return np.array([self.number.get(int(root), NO_UNIT) for root in roots], dtype=np.int64)


def unit_groups(model: ir.Model) -> tuple[tuple[UnitGroup, ...], tuple[WholePart, ...]]:
    """All sets of units that can be cut, and what stays whole with the reason.

    Found by following units through the graph, never by the architecture's name.

    Returns:
        Groups and whole parts, each in topological order of their first producer.

    Raises:
        GraphError: `GRAPH_SHAPE_DYNAMIC` or `GRAPH_INVALID` if the graph cannot be followed.
    """
    shaped = with_shapes(model)
    walked = trace(shaped)
    groups: list[UnitGroup] = []
    whole: list[WholePart] = []
    opset = opset_of(shaped)
    for component in _components(walked):
        try:
            groups.append(_group(component, walked, opset))
        except _Whole as stop:
            whole.append(WholePart(component.producers, str(stop)))
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


def _components(walked: Trace) -> Iterator[_Component]:
    """Producers joined by shared units."""
    ledger = walked.ledger
    owner: dict[int, int] = {}
    parents = list(range(len(ledger.produced)))

    def top(place: int) -> int:
        while parents[place] != place:
            place = parents[place]
        return place

    roots = [ledger.roots(np.arange(p.first, p.first + p.count)) for p in ledger.produced]
    for place, own in enumerate(roots):
        for root in own.tolist():
            first, second = top(owner.setdefault(root, place)), top(place)
            parents[max(first, second)] = min(first, second)
    for place in range(len(parents)):
        members = [member for member in range(len(parents)) if top(member) == place]
        if members:
            number: dict[int, int] = {}
            for member in members:
                for root in roots[member].tolist():
                    number.setdefault(root, len(number))
            names = tuple(ledger.produced[member].node for member in members)
            yield _Component(names, number)


def _group(component: _Component, walked: Trace, opset: int) -> UnitGroup:
    reasons = walked.ledger.reasons()
    for root in component.number:
        if root in reasons:
            raise _Whole(reasons[root])
    for producer in walked.ledger.produced:
        if producer.node in component.producers:
            own = walked.ledger.roots(np.arange(producer.first, producer.first + producer.count))
            if np.unique(own).size != len(component.number):
                raise _Whole(f"'{producer.node}' is coupled with a part of its units only")
    if len(component.number) < 2:
        raise _Whole(f"'{component.producers[0]}' has a single unit")
    consumers = tuple(_consumers(component, walked, opset))
    if not consumers:
        raise _Whole(f"no linear node reads the units of '{component.producers[0]}'")
    values = tuple(_values(component, walked))
    touched = {axis.value for axis in values}
    value, axis = read_out(component.producers[0], values, walked)
    return UnitGroup(
        id=component.producers[0],
        units=len(component.number),
        producers=component.producers,
        passes=tuple(
            name
            for name, node in walked.nodes.items()
            if name not in component.producers
            and any(source is not None and source.name in touched for source in node.inputs)
            and any(output.name in touched for output in node.outputs)
        ),
        consumers=consumers,
        value=value,
        unit_axis=axis,
        parameters=tuple(_parameters(component, walked)),
        values=values,
    )


def _values(component: _Component, walked: Trace) -> Iterator[ValueAxis]:
    for name, layout in walked.layouts.items():
        for axis, units in layout.items():
            numbers = component.numbers(walked.ledger.roots(units.units))
            if (numbers != NO_UNIT).any():
                yield ValueAxis(name, axis, numbers)


def _parameters(component: _Component, walked: Trace) -> Iterator[ParameterAxis]:
    uses = walked.ledger.parameters
    for use in sorted(uses, key=lambda use: use.node not in component.producers):
        numbers = component.numbers(walked.ledger.roots(use.units.units))
        value = walked.nodes[use.node].inputs[use.input]
        if (numbers != NO_UNIT).any() and value is not None:
            yield ParameterAxis(use.node, use.input, value.name or "", use.axis, numbers)


def _consumers(component: _Component, walked: Trace, opset: int) -> Iterator[Consumer]:
    for consumed in walked.ledger.consumed:
        numbers = component.numbers(walked.ledger.roots(consumed.units.units))
        if (numbers != NO_UNIT).any():
            positions = _positions(component, consumed, numbers)
            yield _consumer(walked.nodes[consumed.node], consumed, positions, opset)


def _positions(component: _Component, consumed: Consumed, numbers: Indices) -> Indices:
    """`(units, block)`: the places of each unit, equal positions in equal columns."""
    phases = consumed.units.phase
    order = np.lexsort((np.arange(numbers.size), phases, numbers))
    order = order[numbers[order] != NO_UNIT]
    counts = np.bincount(numbers[order], minlength=len(component.number))
    if (counts != counts[0]).any():
        raise _Whole(f"'{consumed.node}' reads some of the coupled units and not the others")
    places: Indices = order.reshape(len(component.number), -1).astype(np.int64)
    if (phases[places] != phases[places[:1]]).any():
        raise _Whole(f"'{consumed.node}' reads units at positions of their own")
    places.setflags(write=False)
    return places


def _consumer(node: ir.Node, consumed: Consumed, positions: Indices, opset: int) -> Consumer:
    facet = TABLE[node.op_type].linear
    assert facet is not None
    data, weight, add = node.inputs[0], node.inputs[1], bias_add(node)
    bias = node.inputs[2] if facet.has_bias_input and len(node.inputs) > 2 else None
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
        block=block,
        units_last=bool(block > 1 and positions[1, 0] < positions[0, -1]),
        offset_exact=not facet.pads_with_zeros(Call.of(node, opset)) and _constant_bias(bias),
        positions=positions,
    )


def _constant_bias(bias: ir.Value | None) -> bool:
    return bias is None or constant_of(bias) is not None
