"""Rows of the operator table: recurrent layers, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from onnxgraph.operators.facet import LinearFacet
from onnxgraph.operators.flow import recurrent as flow
from onnxgraph.operators.operator import Call, Dims, Evaluate, Operator
from onnxgraph.operators.recurrence import GATES, direction_count, plain_activations, unsupported

_State: TypeAlias = tuple[Tensor, ...]
"""What a step hands to the next one: the hidden state `(N, H)`, and an LSTM's cell behind it."""


@dataclass(frozen=True)
class _Weights:
    """The parameters of one direction.

    Attributes:
        inputs: W, `(gates · H, I)`.
        recurrent: R, `(gates · H, H)`.
        input_bias: Wb, `(gates · H,)`.
        recurrent_bias: Rb, `(gates · H,)`.
        peepholes: P, `(3 · H,)`, or None.
    """

    inputs: Tensor
    recurrent: Tensor
    input_bias: Tensor
    recurrent_bias: Tensor
    peepholes: Tensor | None

    @property
    def width(self) -> int:
        """H, the hidden units."""
        return int(self.recurrent.shape[1])


_Cell: TypeAlias = Callable[[Call, Tensor, _Weights, _State], _State]
"""One step: `(call, W·x + Wb, weights, state)` to the next state."""


def _lstm_cell(call: Call, projected: Tensor, weights: _Weights, state: _State) -> _State:  # noqa: ARG001
    """Gates in ONNX's order: input, output, forget, cell."""
    hidden, cell = state
    gates = projected + hidden @ weights.recurrent.T + weights.recurrent_bias
    into, out, forget, fresh = gates.chunk(4, dim=1)
    if weights.peepholes is not None:
        into_peep, out_peep, forget_peep = weights.peepholes.chunk(3)
        into, forget = into + into_peep * cell, forget + forget_peep * cell
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(into) * torch.tanh(fresh)
    if weights.peepholes is not None:
        out = out + out_peep * cell
    return torch.sigmoid(out) * torch.tanh(cell), cell


def _gru_cell(call: Call, projected: Tensor, weights: _Weights, state: _State) -> _State:
    """Gates in ONNX's order: update, reset, hidden."""
    (hidden,), width = state, 2 * weights.width
    recurrent, bias = weights.recurrent, weights.recurrent_bias
    gates = torch.sigmoid(projected[:, :width] + hidden @ recurrent[:width].T + bias[:width])
    update, reset = gates.chunk(2, dim=1)
    if call.integer("linear_before_reset", 0):
        remembered = reset * (hidden @ recurrent[width:].T + bias[width:])
    else:
        remembered = (reset * hidden) @ recurrent[width:].T + bias[width:]
    candidate = torch.tanh(projected[:, width:] + remembered)
    return ((1 - update) * candidate + update * hidden,)


def _rnn_cell(call: Call, projected: Tensor, weights: _Weights, state: _State) -> _State:
    activate = torch.relu if plain_activations(call)[0] == "Relu" else torch.tanh
    total = projected + state[0] @ weights.recurrent.T + weights.recurrent_bias
    return (activate(total),)


def _layer(cell: _Cell, states: int) -> Evaluate:
    """The meaning of a recurrent operator with `states` tensors of state."""

    def evaluate(call: Call, x: Tensor, *operands: Tensor | None) -> Tensor | tuple[Tensor, ...]:
        problem = unsupported(call, has_lengths=len(operands) > 3 and operands[3] is not None)
        if problem is not None:
            raise ValueError(f"{call.op_type} '{call.name}' {problem}")
        ends: list[_State] = []
        sequences: list[Tensor] = []
        for direction in range(direction_count(call)):
            weights = _weights(operands, direction)
            state = _start(x, weights, operands[4 : 4 + states], direction, states)
            backwards = direction == 1 or call.text("direction", "forward") == "reverse"
            hidden, state = _run(call, cell, x.flip(0) if backwards else x, weights, state)
            sequences.append(hidden.flip(0) if backwards else hidden)
            ends.append(state)
        last = tuple(torch.stack(parts) for parts in zip(*ends, strict=True))
        outputs = (torch.stack(sequences, dim=1), *last)
        return outputs[0] if call.outputs == 1 else outputs[: call.outputs]

    return evaluate


def _run(
    call: Call, cell: _Cell, x: Tensor, weights: _Weights, state: _State
) -> tuple[Tensor, _State]:
    """All hidden states `(steps, N, H)`, and the state behind the last step."""
    hidden: list[Tensor] = []
    for projected in x @ weights.inputs.T + weights.input_bias:
        state = cell(call, projected, weights, state)
        hidden.append(state[0])
    return torch.stack(hidden), state


def _weights(operands: tuple[Tensor | None, ...], direction: int) -> _Weights:
    inputs, recurrent = operands[0], operands[1]
    assert inputs is not None
    assert recurrent is not None
    both = operands[2] if len(operands) > 2 else None
    bias = recurrent.new_zeros(2 * recurrent.shape[1]) if both is None else both[direction]
    peepholes = operands[6] if len(operands) > 6 else None
    input_bias, recurrent_bias = bias.chunk(2)
    return _Weights(
        inputs[direction],
        recurrent[direction],
        input_bias,
        recurrent_bias,
        None if peepholes is None else peepholes[direction],
    )


def _start(
    x: Tensor, weights: _Weights, given: tuple[Tensor | None, ...], direction: int, states: int
) -> _State:
    """The first state: zero where none is given."""
    zero = weights.recurrent.new_zeros(x.shape[1], weights.width)
    padded: Iterator[Tensor | None] = iter([*given, *[None] * (states - len(given))])
    return tuple(zero if initial is None else initial[direction] for initial in padded)


def _macs(call: Call, inputs: tuple[Dims, ...], outputs: tuple[Dims, ...]) -> int:  # noqa: ARG001
    """Steps × directions × gates × H × (I + H)."""
    steps = inputs[0][0] or 1
    directions, rows, width = (size or 1 for size in inputs[1])
    return steps * directions * rows * (width + (inputs[2][2] or 1))


def _rows(
    call: Call,  # noqa: ARG001
    x: Tensor,
    weight: tuple[int, ...],  # noqa: ARG001
    chosen: Tensor | None = None,
) -> Tensor:
    """What W multiplies: every step of every sample, in the order of the first two axes."""
    if chosen is not None:
        x = x[:, chosen.to(x.device)]
    return x.reshape(-1, x.shape[-1])


_INPUTS = LinearFacet(
    data_axis=-1,
    input_axis=lambda _call: 2,
    output_axis=lambda _call: 1,
    applies=lambda call, _weight: direction_count(call) == 1,
    refusal="has a computed weight or reads in both directions",
    patches=_rows,
    scales=lambda _call: (1.0, 1.0),
    pads_with_zeros=lambda _call: False,
    keeps_other_axes=False,
    has_bias_input=True,
    bias_input=3,
    is_output=False,
)
"""W: what the gates see of the data. The recurrent matrix R is no part of it."""


def _row(name: str, cell: _Cell, states: int) -> Operator:
    return Operator(
        name,
        _layer(cell, states),
        lambda step: flow.recurrent(step, _INPUTS, GATES[name]),
        _macs,
        _INPUTS,
        outputs=1 + states,
        shrink=flow.hidden_size,
    )


ROWS = (
    _row("LSTM", _lstm_cell, 2),
    _row("GRU", _gru_cell, 1),
    _row("RNN", _rnn_cell, 1),
)
