"""Give each direction of a recurrent layer a node of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxgraph.lookup import constant_of, opset_of, unused_name
from onnxgraph.operators import Call
from onnxgraph.operators.recurrence import GATES, direction_count, plain_activations
from onnxgraph.operators.step import dims_of
from onnxgraph.parameters import add_initializer

_DIRECTED = (1, 2, 3, 5, 6, 7)
"""Inputs of a recurrent node whose first axis is the direction."""
_STACK_AXES = (1, 0, 0)
"""The axis of the direction in Y, Y_h and Y_c."""


@dataclass(frozen=True)
class _Stack:
    """A value that is `parts` behind each other, each of size 1 on `axis`."""

    axis: int
    parts: tuple[ir.Value, ...]


class PartDirections(ir.passes.InPlacePass):
    """Splits bidirectional LSTM, GRU and RNN nodes, and reads final states from Y.

    The hidden units of each direction are then units of their own. Y_h is the last step of Y (the
    first of a reverse node). What exporters do with stacked directions and layers (Concat,
    Transpose, Gather, Slice, and the Reshape or Flatten that joins directions with units) is done
    to the parts, so that units of different directions lie behind each other on one axis and
    never on top of each other.

    Requires: inferred shapes; constants folded; `DropZeroStates`.
    Ensures: every recurrent node has one direction, and nobody reads its Y_h. New values have no
    shapes, and nodes that are no longer read stay for `FoldConstants`.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rewrites in place."""
        if not any(node.op_type in GATES for node in model.graph):
            return ir.passes.PassResult(model, modified=False)
        parting = _Parting(model)
        for node in list(model.graph):
            parting.visit(node)
        return ir.passes.PassResult(model, modified=parting.modified)


class _Parting:
    """Walks a graph from the front and knows which of its values are stacks.

    Attributes:
        modified: Whether anything was rewritten.
    """

    def __init__(self, model: ir.Model) -> None:
        self.modified = False
        self._model = model
        self._stacks: dict[ir.Value, _Stack] = {}
        self._rules: dict[str, Callable[[ir.Node, _Stack], ir.Value | _Stack | None]] = {
            "Transpose": self._transposed,
            "Gather": self._gathered,
            "Slice": self._sliced,
            "Reshape": self._joined,
            "Flatten": self._joined,
        }

    def visit(self, node: ir.Node) -> None:
        """Rewrites one node, all nodes before it being rewritten."""
        if node.op_type in GATES:
            self._part(node)
            return
        data = node.inputs[0] if node.inputs else None
        found: ir.Value | _Stack | None = None
        if node.op_type == "Concat":
            found = self._concatenated(node)
        elif data in self._stacks and data is not None and node.op_type in self._rules:
            found = self._rules[node.op_type](node, self._stacks[data])
        if found is not None:
            self._replace(node, node.outputs[0], found)

    def _part(self, node: ir.Node) -> None:
        """Replaces a recurrent node by one node per direction, and Y_h by steps of Y."""
        count = direction_count(Call.of(node, opset_of(self._model)))
        node.outputs[0].name = node.outputs[0].name or f"{node.name}_states"
        singles = [self._single(node, place) for place in range(count)] if count > 1 else [node]
        for output, value in enumerate(node.outputs):
            if not value.uses() and not value.is_graph_output() and output:
                continue
            if output == 1:
                parts = tuple(self._end(single) for single in singles)
            else:
                parts = tuple(single.outputs[output] for single in singles)
            stack = _Stack(_STACK_AXES[output], parts)
            if parts == (value,):
                self._stacks[value] = stack
            else:
                self._replace(singles[-1] if output != 1 else parts[-1].producer(), value, stack)

    def _single(self, node: ir.Node, direction: int) -> ir.Node:
        """One direction of a node, with its share of every weight."""
        suffix = ("forward", "reverse")[direction]
        inputs = [
            self._share(node, value, direction) if place in _DIRECTED and value else value
            for place, value in enumerate(node.inputs)
        ]
        attributes = [
            attribute
            for name, attribute in node.attributes.items()
            if name not in ("direction", "activations")
        ]
        attributes.append(ir.AttrString("direction", suffix))
        activations = plain_activations(Call.of(node, opset_of(self._model)))
        attributes.append(ir.AttrStrings("activations", list(activations)))
        name = unused_name(self._model.graph, f"{node.name}_{suffix}")
        outputs = [
            ir.Value(name=unused_name(self._model.graph, f"{name}_{place}"), type=value.type)
            for place, value in enumerate(node.outputs)
        ]
        single = ir.Node("", node.op_type, inputs, attributes, name=name, outputs=outputs)
        self._model.graph.insert_before(node, single)
        return single

    def _share(self, node: ir.Node, value: ir.Value, direction: int) -> ir.Value:
        """One direction of a weight or of an initial state."""
        tensor = constant_of(value)
        if tensor is not None:
            part = tensor.numpy()[direction : direction + 1]
            return add_initializer(self._model, f"{value.name}_{direction}", part)
        return self._add(node, "Gather", [value, self._numbers([direction])], axis=0)

    def _end(self, single: ir.Node) -> ir.Value:
        """The last state that a node reaches, `(1, N, H)`: a step of its Y."""
        backwards = single.attributes.get_string("direction", "forward") == "reverse"
        place = self._numbers(0 if backwards else -1)
        return self._add(single, "Gather", [single.outputs[0], place], behind=True, axis=0)

    def _concatenated(self, node: ir.Node) -> _Stack | None:
        """Stacks behind each other, such as the final states of all layers."""
        rank = len(dims_of(node.outputs[0]))
        parts: list[ir.Value] = []
        for value in node.inputs:
            stack = self._stacks.get(value) if value is not None else None
            if stack is not None and rank and _axis(node, rank) == stack.axis:
                parts += stack.parts
            elif value is not None and rank and dims_of(value)[_axis(node, rank) :][:1] == (1,):
                parts.append(value)
            else:
                return None
        return _Stack(_axis(node, rank), tuple(parts))

    def _transposed(self, node: ir.Node, stack: _Stack) -> _Stack | None:
        if "perm" not in node.attributes:
            return None
        order = node.attributes["perm"].as_ints()
        parts = tuple(self._add(node, "Transpose", [p], perm=list(order)) for p in stack.parts)
        return _Stack(list(order).index(stack.axis), parts)

    def _gathered(self, node: ir.Node, stack: _Stack) -> _Stack | ir.Value | None:
        """Parts by their constant places; of a single number, the axis goes."""
        tensor, rank = constant_of(node.inputs[1]), _rank(node.inputs[0])
        if tensor is None or rank is None or _axis(node, rank) != stack.axis:
            return None
        places = tensor.numpy()
        if places.ndim == 0:
            return self._squeezed(node, stack.parts[int(places)], stack.axis)
        if places.ndim > 1:
            return None
        return _Stack(stack.axis, tuple(stack.parts[place] for place in places.tolist()))

    def _sliced(self, node: ir.Node, stack: _Stack) -> _Stack | None:
        constants = [constant_of(value) for value in node.inputs[1:]]
        rank = _rank(node.inputs[0])
        if len(constants) < 3 or rank is None or any(c is None or c.size != 1 for c in constants):
            return None
        start, end, axis, *step = (int(c.numpy().item()) for c in constants if c is not None)
        parts = stack.parts[slice(start, end, *step)] if step in ([], [1]) else ()
        return _Stack(stack.axis, parts) if axis % rank == stack.axis and parts else None

    def _joined(self, node: ir.Node, stack: _Stack) -> ir.Value | None:
        """A Reshape that joins the stack's axis with the one behind it: parts side by side."""
        whole, result, axis = node.inputs[0], node.outputs[0], stack.axis
        before, after = dims_of(whole), dims_of(result)
        width = before[axis + 1] if axis + 1 < len(before) else None
        if width is None or after != (
            *before[:axis],
            len(stack.parts) * width,
            *before[axis + 2 :],
        ):
            return None
        parts = tuple(self._squeezed(node, part, axis) for part in stack.parts)
        return self._side_by_side(node, _Stack(axis, parts))

    def _squeezed(self, node: ir.Node, part: ir.Value, axis: int) -> ir.Value:
        return self._add(node, "Squeeze", [part, self._numbers([axis])])

    def _side_by_side(self, node: ir.Node, stack: _Stack, *, behind: bool = False) -> ir.Value:
        if len(stack.parts) == 1:
            return stack.parts[0]
        return self._add(node, "Concat", stack.parts, behind=behind, axis=stack.axis)

    def _replace(self, node: ir.Node | None, value: ir.Value, found: ir.Value | _Stack) -> None:
        """Lets everybody who reads `value` read its parts, joined behind `node`."""
        assert node is not None
        new = found
        if isinstance(new, _Stack):
            new = self._side_by_side(node, new, behind=True)
            self._stacks[new] = found if isinstance(found, _Stack) else _Stack(0, (new,))
        new.shape, new.type = value.shape, value.type
        ir.convenience.replace_all_uses_with(value, new, replace_graph_outputs=True)
        self.modified = True

    def _numbers(self, numbers: int | Sequence[int]) -> ir.Value:
        return add_initializer(self._model, "places", np.array(numbers, dtype=np.int64))

    def _add(
        self,
        node: ir.Node,
        op_type: str,
        inputs: Sequence[ir.Value],
        *,
        behind: bool = False,
        **attributes: int | list[int],
    ) -> ir.Value:
        """A node beside `node`; its output."""
        name = unused_name(self._model.graph, f"{node.name}_{op_type.lower()}")
        output = ir.Value(name=name, type=inputs[0].type)
        new = ir.node(op_type, inputs, attributes, outputs=[output], name=name)
        if behind:
            self._model.graph.insert_after(node, new)
        else:
            self._model.graph.insert_before(node, new)
        return output


def _axis(node: ir.Node, rank: int) -> int:
    return node.attributes.get_int("axis", 0) % rank


def _rank(value: ir.Value | None) -> int | None:
    return None if value is None or value.shape is None else len(value.shape)
