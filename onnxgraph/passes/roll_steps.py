"""Write a recurrent layer that an exporter wrote step by step as one RNN."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.lookup import constant_of, unused_name
from onnxgraph.operators.step import dims_of
from onnxgraph.parameters import add_initializer
from onnxgraph.passes.drop_zero_states import is_zero

_ACTIVATIONS = frozenset({"Tanh", "Relu"})

Array = npt.NDArray[Any]


@dataclass
class _Chain:
    """Steps h_t = act(h_{t-1} · U + b + x_t) that share U, from a zero state.

    Attributes:
        weight: U, `(H, H)`.
        bias: b, `(H,)`, or None.
        activation: The operator of act.
        states: h_0, h_1, …, each `(1, N, H)`.
        inputs: x_0, x_1, …, each `(N, H)`.
    """

    weight: ir.Value
    bias: Array | None = None
    activation: str = ""
    states: list[ir.Value] = field(default_factory=list)
    inputs: list[ir.Value] = field(default_factory=list)


@dataclass(frozen=True)
class _Projection:
    """x_t of all steps: `data` `(S, N, I)` times `weight` `(I, H)` plus `bias`, perhaps turned."""

    data: ir.Value
    weight: Array
    bias: Array | None
    backwards: bool


class RollSteps(ir.passes.InPlacePass):
    """Turns a chain of equal steps over one projected sequence into an RNN node.

    torch's dynamo exporter writes nn.RNN so: one MatMul per step, all with one weight. As an RNN
    the weight is one parameter again, and its hidden units are those of any recurrent layer.

    Requires: constants lifted, inferred shapes.
    Ensures: no such chain over every step of a sequence, from a zero state. What is no longer used
    stays for `FoldConstants`.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Rolls in place."""
        modified = False
        for node in list(model.graph):
            chain = _chain_from(node)
            projection = None if chain is None else _projection(chain)
            if chain is not None and projection is not None:
                _roll(model, node, chain, projection)
                modified = True
        return ir.passes.PassResult(model, modified=modified)


def _chain_from(node: ir.Node) -> _Chain | None:
    """The chain that begins with a MatMul of a zero state."""
    if node.op_type != "MatMul" or node.inputs[0] is None or not is_zero(node.inputs[0]):
        return None
    weight = node.inputs[1]
    tensor = constant_of(weight)
    if weight is None or tensor is None or tensor.shape.rank() != 2 or len(set(tensor.shape)) != 1:
        return None
    chain = _Chain(weight)
    following: ir.Node | None = node
    while following is not None:
        state = _step(chain, following)
        if state is None:
            return None
        chain.states.append(state)
        following = _reader(state, "MatMul", weight)
    return chain


def _step(chain: _Chain, product: ir.Node) -> ir.Value | None:
    """Adds x_t of the step that begins with `product`; gives h_t if the step is like the others."""
    total = _sole_reader(product.outputs[0], {"Add"})
    bias = None if total is None else _other_constant(total)
    if total is not None and bias is not None:
        value, total = total.outputs[0], _sole_reader(total.outputs[0], {"Add"})
    else:
        value = product.outputs[0]
    if total is None:
        return None
    activation = _sole_reader(total.outputs[0], _ACTIVATIONS)
    data = [operand for operand in total.inputs if operand is not value]
    if activation is None or len(data) != 1 or data[0] is None:
        return None
    if not chain.states:
        chain.bias, chain.activation = bias, activation.op_type
    same = (bias is None) == (chain.bias is None) and activation.op_type == chain.activation
    if not same or (bias is not None and not np.array_equal(bias, np.asarray(chain.bias))):
        return None
    chain.inputs.append(data[0])
    return activation.outputs[0]


def _projection(chain: _Chain) -> _Projection | None:
    """Where the x_t come from, if they are all steps of one projected sequence, in order."""
    sources = [_picked(value) for value in chain.inputs]
    whole = sources[0][0] if sources[0] is not None else None
    if whole is None or any(found != (whole, step) for step, found in enumerate(sources)):
        return None
    if whole.shape is None or whole.shape[0] != len(chain.states) or len(whole.shape) != 3:
        return None
    backwards = _is_turned(whole)
    node = whole.producer()
    if backwards and node is not None:
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    bias = _other_constant(node) if node is not None and node.op_type == "Add" else None
    if node is not None and bias is not None:
        node = next(v.producer() for v in node.inputs if v is not None and constant_of(v) is None)
    if node is None or node.op_type != "MatMul" or node.inputs[0] is None:
        return None
    weight = constant_of(node.inputs[1])
    if weight is None or weight.shape.rank() != 2:
        return None
    return _Projection(node.inputs[0], weight.numpy(), bias, backwards)


def _roll(model: ir.Model, first: ir.Node, chain: _Chain, projection: _Projection) -> None:
    """Puts an RNN in front of the first state, and its states in the places of theirs."""
    recurrent = constant_of(chain.weight)
    assert recurrent is not None
    name = unused_name(model.graph, f"{first.name}_rolled")
    inputs: list[ir.Value | None] = [
        projection.data,
        add_initializer(model, f"{name}_w", projection.weight.T[None]),
        add_initializer(model, f"{name}_r", recurrent.numpy().T[None]),
    ]
    biases = [projection.bias, chain.bias]
    if any(bias is not None for bias in biases):
        blank = np.zeros(len(recurrent.numpy()), recurrent.numpy().dtype)
        both = np.concatenate([blank if bias is None else bias.reshape(-1) for bias in biases])
        inputs.append(add_initializer(model, f"{name}_b", both[None]))
    attributes: dict[str, Any] = {
        "activations": [chain.activation],
        "direction": "reverse" if projection.backwards else "forward",
        "hidden_size": len(recurrent.numpy()),
    }
    kind = projection.data.type
    states = ir.Value(name=f"{name}_states", type=kind)
    node = ir.node("RNN", inputs, attributes, outputs=[states], name=name)
    by_time = chain.states[::-1] if projection.backwards else chain.states
    whole, begin = _sequence(by_time), chain.states[0].producer()
    nodes = [node]
    for time, value in enumerate(by_time):
        place = add_initializer(model, f"{name}_place", np.array(time))
        nodes.append(_state(model, [states, place], value, axis=0))
    if whole is not None:
        axes = add_initializer(model, f"{name}_axes", np.array([1]))
        nodes.append(_state(model, [states, axes], whole))
    assert begin is not None  # By then all of the sequence is there.
    model.graph.insert_before(begin, nodes)


def _state(
    model: ir.Model, inputs: Sequence[ir.Value], value: ir.Value, **attributes: int
) -> ir.Node:
    """A Gather or Squeeze of the RNN's states that everybody reads in place of `value`."""
    name = unused_name(model.graph, f"{value.name}_rolled")
    new = ir.Value(name=name, type=value.type, shape=value.shape)
    op_type = "Gather" if attributes else "Squeeze"
    made = ir.node(op_type, inputs, attributes, outputs=[new], name=name)
    ir.convenience.replace_all_uses_with(value, new, replace_graph_outputs=True)
    return made


def _sequence(states: Sequence[ir.Value]) -> ir.Value | None:
    """The Concat of all states in their order of time."""
    for node in states[0].consumers():
        if node.op_type == "Concat" and tuple(node.inputs) == tuple(states):
            return node.outputs[0] if node.attributes.get_int("axis", -1) == 0 else None
    return None


def _picked(value: ir.Value) -> tuple[ir.Value, int] | None:
    """The sequence and the step that `value` is, as Squeeze(Slice(sequence))."""
    squeeze = value.producer()
    if squeeze is None or squeeze.op_type != "Squeeze" or _numbers(squeeze, 1) != [0]:
        return None
    taken = squeeze.inputs[0].producer() if squeeze.inputs[0] is not None else None
    if taken is None or taken.op_type != "Slice" or taken.inputs[0] is None:
        return None
    start, end, axes = (_numbers(taken, index) for index in (1, 2, 3))
    if axes != [0] or start is None or end != [start[0] + 1]:
        return None
    return taken.inputs[0], start[0]


def _is_turned(value: ir.Value) -> bool:
    """Whether a value is the steps of another from the last to the first."""
    node = value.producer()
    if node is None or node.op_type != "Slice" or not dims_of(value):
        return False
    start, axes, step = (_numbers(node, index) for index in (1, 3, 4))
    same = dims_of(node.inputs[0])[:1] == dims_of(value)[:1]
    return same and (start, axes, step) == ([-1], [0], [-1])


def _numbers(node: ir.Node, index: int) -> list[int] | None:
    tensor = constant_of(node.inputs[index]) if index < len(node.inputs) else None
    return None if tensor is None else [int(number) for number in np.ravel(tensor.numpy())]


def _other_constant(node: ir.Node) -> Array | None:
    """The one constant operand of an Add, if it is a vector."""
    tensors = [tensor for tensor in map(constant_of, node.inputs) if tensor is not None]
    return tensors[0].numpy() if len(tensors) == 1 and tensors[0].shape.rank() == 1 else None


def _sole_reader(value: ir.Value, operators: set[str] | frozenset[str]) -> ir.Node | None:
    readers = list(value.consumers())
    if len(readers) != 1 or value.is_graph_output() or readers[0].op_type not in operators:
        return None
    return readers[0]


def _reader(value: ir.Value, op_type: str, weight: ir.Value) -> ir.Node | None:
    """The reader of a state that multiplies it by U, too."""
    for node in value.consumers():
        if node.op_type == op_type and node.inputs[0] is value and node.inputs[1] is weight:
            return node
    return None
