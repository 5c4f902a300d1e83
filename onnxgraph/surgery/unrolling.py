"""A recurrent node written out step by step, a repair of its states as a layer of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.lookup import constant_of, opset_of, unused_name
from onnxgraph.operators import Call
from onnxgraph.operators.recurrence import GATES, plain_activations
from onnxgraph.parameters import add_initializer
from onnxgraph.surgery.layers import mark_repaired

Array = NDArray[Any]


def unroll(model: ir.Model, node: ir.Node, repair: Array) -> None:
    """Replaces a recurrent node of one direction, in place; for proofs and tests.

    Args:
        model: The graph.
        node: The node. R, `(1, gates · kept, all)`, still reads every hidden unit of before.
        repair: What stands between a state and R, `(all, kept)`.
    """
    steps = _Steps(model, node, repair)
    data = node.inputs[0]
    assert data is not None
    assert data.shape is not None
    count = data.shape[0]
    assert isinstance(count, int)
    backwards = node.attributes.get_string("direction", "forward") == "reverse"
    hidden, cell = steps.given(5), steps.given(6) if node.op_type == "LSTM" else None
    states: dict[int, ir.Value] = {}
    for step in reversed(range(count)) if backwards else range(count):
        hidden, cell = steps.advance(
            steps.add("Gather", data, steps.constant(step), axis=0), hidden, cell
        )
        states[step] = steps.add("Unsqueeze", hidden, steps.constant([0, 1]))
    steps.publish(0, steps.add("Concat", *(states[step] for step in range(count)), axis=0))
    if len(node.outputs) > 2 and cell is not None:
        steps.publish(2, steps.add("Unsqueeze", cell, steps.constant([0])))
    model.graph.remove(node, safe=True)


@dataclass
class _Steps:
    """Writes nodes in front of a recurrent node, in the equations of ONNX's specification."""

    model: ir.Model
    node: ir.Node
    repair: Array
    _shared: dict[str, ir.Value] = field(default_factory=dict)

    def given(self, index: int) -> ir.Value | None:
        """An initial state as `(N, H)`."""
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        return None if value is None else self.add("Squeeze", value, self.constant([0]))

    def advance(
        self, x: ir.Value, hidden: ir.Value | None, cell: ir.Value | None
    ) -> tuple[ir.Value, ir.Value | None]:
        """The states behind one step."""
        restored = None
        if hidden is not None:
            restored = self.add("MatMul", hidden, self._weight("repair", lambda: self.repair.T))
        if self.node.op_type == "LSTM":
            return self._lstm(x, restored, cell)
        if self.node.op_type == "GRU":
            return self._gru(x, restored, hidden), None
        activation = plain_activations(Call.of(self.node, opset_of(self.model)))[0]
        return self.add(activation, self._gate(0, x, restored)), None

    def _lstm(
        self, x: ir.Value, restored: ir.Value | None, cell: ir.Value | None
    ) -> tuple[ir.Value, ir.Value]:
        into, out, forget, fresh = (self._gate(gate, x, restored) for gate in range(4))
        into = self.add("Sigmoid", self._peep(into, 0, cell))
        new = self.add("Mul", into, self.add("Tanh", fresh))
        if cell is not None:
            forget = self.add("Sigmoid", self._peep(forget, 2, cell))
            new = self.add("Add", new, self.add("Mul", forget, cell))
        out = self.add("Sigmoid", self._peep(out, 1, new))
        return self.add("Mul", out, self.add("Tanh", new)), new

    def _gru(self, x: ir.Value, restored: ir.Value | None, hidden: ir.Value | None) -> ir.Value:
        update, reset = (self.add("Sigmoid", self._gate(gate, x, restored)) for gate in range(2))
        remembered = self.add("Mul", reset, self._recurrent(2, restored))
        fresh = self.add("Tanh", self.add("Add", self._projected(2, x), remembered))
        one = self._weight("one", lambda: np.ones(1))
        new = self.add("Mul", self.add("Sub", one, update), fresh)
        return new if hidden is None else self.add("Add", new, self.add("Mul", update, hidden))

    def _gate(self, gate: int, x: ir.Value, restored: ir.Value | None) -> ir.Value:
        return self.add("Add", self._projected(gate, x), self._recurrent(gate, restored))

    def _projected(self, gate: int, x: ir.Value) -> ir.Value:
        matrix = self._weight(f"w{gate}", lambda: self._rows(1, gate).T)
        product = self.add("MatMul", x, matrix)
        producer = product.producer()
        assert producer is not None
        mark_repaired(producer, self.node)
        return self.add("Add", product, self._weight(f"wb{gate}", lambda: self._bias(gate)))

    def _recurrent(self, gate: int, restored: ir.Value | None) -> ir.Value:
        bias = self._weight(f"rb{gate}", lambda: self._bias(GATES[self.node.op_type] + gate))
        if restored is None:
            return bias
        matrix = self._weight(f"r{gate}", lambda: self._rows(2, gate).T)
        return self.add("Add", self.add("MatMul", restored, matrix), bias)

    def _peep(self, gate: ir.Value, place: int, cell: ir.Value | None) -> ir.Value:
        if cell is None or len(self.node.inputs) < 8 or self.node.inputs[7] is None:
            return gate
        peephole = self._weight(f"p{place}", lambda: self._constant(7)[0].reshape(3, -1)[place])
        return self.add("Add", gate, self.add("Mul", peephole, cell))

    def _rows(self, index: int, gate: int) -> Array:
        return np.split(self._constant(index)[0], GATES[self.node.op_type])[gate]

    def _bias(self, place: int) -> Array:
        gates = GATES[self.node.op_type]
        if len(self.node.inputs) < 4 or self.node.inputs[3] is None:
            return np.zeros(self._constant(1).shape[1] // gates)
        return np.split(self._constant(3)[0], 2 * gates)[place]

    def _constant(self, index: int) -> Array:
        tensor = constant_of(self.node.inputs[index])
        assert tensor is not None
        return tensor.numpy()

    def _weight(self, name: str, make: Callable[[], Array]) -> ir.Value:
        """A constant of the weights' type that all steps read."""
        if name not in self._shared:
            array = make().astype(self._constant(1).dtype)
            self._shared[name] = add_initializer(self.model, f"{self.node.name}_{name}", array)
        return self._shared[name]

    def constant(self, places: int | Sequence[int]) -> ir.Value:
        """Places or axes."""
        array = np.array(places, dtype=np.int64)
        return add_initializer(self.model, f"{self.node.name}_places", array)

    def add(self, op_type: str, *inputs: ir.Value, **attributes: int) -> ir.Value:
        """A node; its output."""
        name = unused_name(self.model.graph, f"{self.node.name}_{op_type.lower()}")
        kind = self.node.outputs[0].type
        output = ir.Value(name=name, type=kind)
        self.model.graph.insert_before(
            self.node, ir.node(op_type, inputs, attributes, outputs=[output], name=name)
        )
        return output

    def publish(self, index: int, value: ir.Value) -> None:
        """Lets everybody read `value` in place of an output."""
        old = self.node.outputs[index]
        name, value.shape = old.name, old.shape
        old.name = unused_name(self.model.graph, f"{name}_before")
        value.name = name
        ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
