"""Where the batch of a repeated constant comes from anyway: what it meets has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from onnxgraph.operators.flow.attention import MASK

BROADCASTING = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Where"),
        *("And", "Or", "Xor", "Not", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"),
        *("Abs", "Cast", "Exp", "Neg", "Sigmoid"),
    }
)
"""Operators that act place by place, with numpy's broadcasting."""

_MASK_RANK = 4


def values_of_data(graph: ir.Graph) -> frozenset[str]:
    """The values that depend on what the inputs hold, not on their shapes alone."""
    found = {str(value.name) for value in graph.inputs}
    for node in graph:
        if node.op_type not in ("Shape", "Size") and found & {
            str(v.name) for v in node.inputs if v
        }:
            found.update(str(value.name) for value in node.outputs)
    return frozenset(found)


class Meetings:
    """What constants that are repeated for each sample meet.

    Args:
        starts: The repeated constants.
        data: `values_of_data`.
    """

    def __init__(self, starts: Sequence[ir.Value], data: frozenset[str]) -> None:
        self._data = data
        self._nodes: dict[ir.Node, None] = {}
        self._known: dict[tuple[str, int], bool] = {}
        waiting = list(starts)
        while waiting:
            for reader in waiting.pop().consumers():
                if reader not in self._nodes:
                    self._nodes[reader] = None
                    waiting += [v for v in reader.outputs if str(v.name) not in data]

    @property
    def names(self) -> list[str]:
        """The values that the nodes read and make which they reach before they meet data."""
        found = [value for node in self._nodes for value in (*node.inputs, *node.outputs)]
        return list(dict.fromkeys(str(value.name) for value in found if value is not None))

    def have_the_size(
        self, value: ir.Value, place: int, shapes: Mapping[str, Sequence[tuple[int, ...]]]
    ) -> bool:
        """Whether everything that a value meets has its size already, so that it need not.

        Args:
            value: A value that depends on the batch's size, and not on data.
            place: The axis of that size, counted from the last, negative.
            shapes: The shapes of all `names` at some batch sizes.
        """
        key = str(value.name), place
        if key not in self._known:
            met = [self._meets(value, place, node, shapes) for node in value.consumers()]
            self._known[key] = bool(met) and all(met) and not value.is_graph_output()
        return self._known[key]

    def _meets(
        self,
        value: ir.Value,
        place: int,
        node: ir.Node,
        shapes: Mapping[str, Sequence[tuple[int, ...]]],
    ) -> bool:
        output, own = node.outputs[0], shapes[str(value.name)]
        if node.op_type == "Gather":
            table = node.inputs[0]
            if (
                table is value
                or node.attributes.get_int("axis", 0) != 0
                or str(output.name) in self._data
            ):
                return False
            place += len(own[0]) - len(shapes[str(output.name)][0])
            return self.have_the_size(output, place, shapes)
        if node.op_type == "Attention":
            return self._masks(value, place, node, shapes)
        if node.op_type not in BROADCASTING:
            return False
        data = [
            other for other in node.inputs if other is not None and str(other.name) in self._data
        ]
        if not data:
            return self.have_the_size(output, place, shapes)
        wanted = [shape[place:][:1] for shape in own]
        return any([s[place:][:1] for s in shapes[str(v.name)]] == wanted for v in data)

    def _masks(
        self,
        value: ir.Value,
        place: int,
        node: ir.Node,
        shapes: Mapping[str, Sequence[tuple[int, ...]]],
    ) -> bool:
        """Whether a value is the mask only, and the place its batch, which the queries have."""
        query = node.inputs[0]
        if query is None or value in node.inputs[:MASK] or value in node.inputs[MASK + 1 :]:
            return False
        batches = [shape[:1] for shape in shapes[str(query.name)]]
        wanted = [shape[place:][:1] for shape in shapes[str(value.name)]]
        return place == -_MASK_RANK and str(query.name) in self._data and batches == wanted
