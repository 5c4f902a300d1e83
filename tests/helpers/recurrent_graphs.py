"""Random small recurrent classifiers as ONNX graphs, for property tests.

`recurrent_classifiers()` draws stacked LSTM, GRU and RNN layers in one or both directions, with and
without bias and peepholes, and reads their last step, their mean, or every step.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.helpers.graph_builder import DrawnGraph, GraphBuilder

__all__ = ["recurrent_classifiers"]

Draw = Callable[[st.SearchStrategy[Any]], Any]
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _direction(b: GraphBuilder, draw: Draw, x: str, direction: str) -> str:
    """One direction of a layer over `(steps, N, I)`: its states `(steps, 1, N, H)`."""
    op_type = draw(st.sampled_from(sorted(_GATES)))
    steps, _, width = b.shapes[x]
    hidden, gates = draw(st.integers(2, 4)), _GATES[op_type]
    attributes: dict[str, Any] = {"hidden_size": hidden, "direction": direction}
    if op_type == "GRU":
        attributes["linear_before_reset"] = 1
    inputs = [x, b.weight(1, gates * hidden, width), b.weight(1, gates * hidden, hidden)]
    if draw(st.booleans()) or op_type == "LSTM":
        inputs.append(b.weight(1, 2 * gates * hidden))
    if op_type == "LSTM" and draw(st.booleans()):
        inputs += ["", "", "", b.weight(1, 3 * hidden)]
    return b.node(op_type, inputs, (steps, 1, 0, hidden), **attributes)


def _layer(b: GraphBuilder, draw: Draw, x: str) -> str:
    """A layer in one or both directions over `(steps, N, I)`, of the same form."""
    steps = b.shapes[x][0]
    chosen = draw(st.sampled_from([["forward"], ["reverse"], ["forward", "reverse"]]))
    parts = []
    for direction in chosen:
        states = _direction(b, draw, x, direction)
        width = b.shapes[states][-1]
        parts.append(b.node("Squeeze", [states, b.constant([1])], (steps, 0, width)))
    if len(parts) == 1:
        return parts[0]
    return b.node("Concat", parts, (steps, 0, sum(b.shapes[p][-1] for p in parts)), axis=2)


def _read_out(b: GraphBuilder, draw: Draw, x: str) -> str:
    """Features `(N, F)` of the states."""
    steps, _, width = b.shapes[x]
    way = draw(st.sampled_from(["first", "last", "mean", "all"]))
    if way in ("first", "last"):
        place = b.constant(np.array(0 if way == "first" else -1))
        return b.node("Gather", [x, place], (width,), axis=0)
    if way == "mean":
        return b.node("ReduceMean", [x], (width,), axes=[0], keepdims=0)
    x = b.node("Transpose", [x], (steps, width), perm=[1, 0, 2])
    return b.node("Flatten", [x], (steps * width,))


@st.composite
def recurrent_classifiers(draw: Draw) -> DrawnGraph:
    """Graphs with one or two recurrent layers and a linear classifier of three classes.

    The batch of a value with steps in front stands at its second or third axis, as 0 in the
    builder's shapes.
    """
    steps, width = draw(st.integers(2, 4)), draw(st.integers(2, 3))
    b = GraphBuilder((steps, width), draw(st.integers(0, 2**16)), share=draw(st.booleans()))
    x = b.node("Transpose", ["x"], (steps, 0, width), perm=[1, 0, 2])
    if draw(st.booleans()):
        x = b.node("MatMul", [x, b.constant(b.matrix(width, 4))], (steps, 0, 4))
    for _ in range(draw(st.integers(1, 2))):
        x = _layer(b, draw, x)
    features = _read_out(b, draw, x)
    wide = b.shapes[features][0]
    scores = b.node("Gemm", [features, b.constant(b.matrix(wide, 3)), b.weight(3)], (3,))
    return b.finish([scores])
