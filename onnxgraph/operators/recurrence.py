"""What the attributes of LSTM, GRU and RNN say, and which of them are supported."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from onnxgraph.operators.operator import Call

GATES: Mapping[str, int] = MappingProxyType({"LSTM": 4, "GRU": 3, "RNN": 1})
"""Gates of the recurrent operators: how many rows of W, R and B belong to one hidden unit."""

RECURRENT_WEIGHT = 2
"""The input that holds R, `(directions, gates · H, H)`."""
RECURRENT_AXIS = 2
"""The axis of R that is contracted with the states."""

_ACTIVATIONS: Mapping[str, tuple[tuple[str, ...], ...]] = MappingProxyType(
    {
        "LSTM": (("Sigmoid", "Tanh", "Tanh"),),
        "GRU": (("Sigmoid", "Tanh"),),
        "RNN": (("Tanh",), ("Relu",)),
    }
)


def direction_count(call: Call) -> int:
    """2 if the node reads its input in both directions, else 1."""
    return 2 if call.text("direction", "forward") == "bidirectional" else 1


def plain_activations(call: Call) -> tuple[str, ...]:
    """The activations of the first direction, ONNX's defaults where none are named."""
    named = tuple(str(name) for name in call.attributes.get("activations", ()))
    default = _ACTIVATIONS[call.op_type][0]
    return named[: len(default)] or default


def unsupported(call: Call, *, has_lengths: bool) -> str | None:
    """Why a recurrent node is not supported, to be read after its name; None if it is.

    Args:
        call: The node.
        has_lengths: Whether its input `sequence_lens` is given.
    """
    if has_lengths:
        return "reads sequences of different lengths"
    if call.integer("layout", 0):
        return "has the batch before the steps (layout 1)"
    if "clip" in call.attributes:
        return "clips its gates"
    if call.integer("input_forget", 0):
        return "couples its input and forget gates"
    named = tuple(str(name) for name in call.attributes.get("activations", ()))
    if named not in {
        kind * count for kind in _ACTIVATIONS[call.op_type] for count in (1, direction_count(call))
    } | {()}:
        return f"has the activations {', '.join(named)}"
    if any(name in call.attributes for name in ("activation_alpha", "activation_beta")):
        return "scales its activations"
    return None
