"""Random encoder blocks as ONNX graphs: attention in several spellings, then a perceptron."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.helpers.graph_builder import DrawnGraph, GraphBuilder
from tests.helpers.random_graphs import Draw

_STEPS, _WIDTH = 4, 5


@st.composite
def encoders(draw: Draw) -> DrawnGraph:
    """Attention and a perceptron over `(N, 4, 5)`, the mean over steps, a dense classifier."""
    b = GraphBuilder((_STEPS, _WIDTH), draw(st.integers(0, 2**32 - 1)))
    x = _dense(b, "x", _WIDTH)
    for _ in range(draw(st.integers(1, 2))):
        attended = draw(st.sampled_from([_apart, _fused]))(b, draw, _normalised(b, x))
        x = b.node("Add", [x, attended], b.shapes[x])
        x = b.node("Add", [x, _perceptron(b, draw, _normalised(b, x))], b.shapes[x])
    pooled = b.node("ReduceMean", [x], (_WIDTH,), axes=[1], keepdims=0)
    return b.finish([_dense(b, pooled, 3)])


def _dense(b: GraphBuilder, x: str, outputs: int, *, bias: bool = True) -> str:
    *steps, inputs = b.shapes[x]
    made = b.node("MatMul", [x, b.constant(b.matrix(inputs, outputs))], (*steps, outputs))
    return b.node("Add", [b.weight(outputs), made], (*steps, outputs)) if bias else made


def _normalised(b: GraphBuilder, x: str) -> str:
    parameters = [b.positive(_WIDTH), b.weight(_WIDTH)]
    return b.node("LayerNormalization", [x, *parameters], b.shapes[x])


def _perceptron(b: GraphBuilder, draw: Draw, x: str) -> str:
    hidden = _dense(b, x, draw(st.integers(2, 6)))
    shape = b.shapes[hidden]
    if draw(st.booleans()):  # A gate (GLU): both halves go together.
        gate = b.node("Sigmoid", [_dense(b, x, shape[-1])], shape)
        return _dense(b, b.node("Mul", [hidden, gate], shape), _WIDTH)
    scaled = b.node("Mul", [b.constant(np.array(1.702)), hidden], shape)
    gate = b.node("Sigmoid", [scaled], shape)  # The reference's Erf is of single precision.
    return _dense(b, b.node("Mul", [hidden, gate], shape), _WIDTH)


def _heads(b: GraphBuilder, draw: Draw, x: str, sizes: tuple[int, ...], order: list[int]) -> str:
    """Parts the last axis and brings the heads in front."""
    target = b.constant([-1 if draw(st.booleans()) else 0, *sizes])
    parted = b.node("Reshape", [x, target], sizes)
    shape = (1, *sizes)
    return b.node("Transpose", [parted], [shape[axis] for axis in order[1:]], perm=order)


def _apart(b: GraphBuilder, draw: Draw, x: str) -> str:
    heads, size, values = (draw(st.integers(low, 3)) for low in (2, 1, 1))
    operands = []
    for places in (size, size, values):
        made = _dense(b, x, heads * places, bias=draw(st.booleans()))
        operands.append(_heads(b, draw, made, (_STEPS, heads, places), [0, 2, 1, 3]))
    return _attend(b, draw, operands)


def _fused(b: GraphBuilder, draw: Draw, x: str) -> str:
    heads, size = draw(st.integers(2, 3)), draw(st.integers(1, 3))
    made = _dense(b, x, 3 * heads * size)
    if draw(st.booleans()):
        sizes, order = (_STEPS, 3, heads, size), [2, 0, 3, 1, 4]
        parted = b.node("Reshape", [made, b.constant([-1, *sizes])], sizes)
        # The batch is the second axis here, so that shapes are written out.
        whole = b.node("Transpose", [parted], (heads, _STEPS, size), perm=order)
        operands = [
            b.node("Gather", [whole, b.constant(np.array(part))], (heads, _STEPS, size), axis=0)
            for part in range(3)
        ]
        return _attend(b, draw, operands)
    moved = _heads(b, draw, made, (_STEPS, heads, 3 * size), [0, 2, 1, 3])
    bounds = [
        [b.constant([edge]) for edge in (part * size, (part + 1) * size, 3)] for part in range(3)
    ]
    operands = [b.node("Slice", [moved, *edges], (heads, _STEPS, size)) for edges in bounds]
    return _attend(b, draw, operands)


def _attend(b: GraphBuilder, draw: Draw, operands: list[str]) -> str:
    query, key, value = operands
    heads, _, size = b.shapes[query]
    flipped = b.node("Transpose", [key], (heads, size, _STEPS), perm=[0, 1, 3, 2])
    scale = b.constant(np.array(size**-0.5))
    query = b.node("Mul", [query, scale], b.shapes[query])
    square: Any = (heads, _STEPS, _STEPS)
    scores = b.node("MatMul", [query, flipped], square)
    if draw(st.booleans()):
        scores = b.node("Add", [scores, b.weight(heads, _STEPS, _STEPS)], square)
    weights = b.node("Softmax", [scores], square, axis=-1)
    places = b.shapes[value][-1]
    context = b.node("MatMul", [weights, value], (heads, _STEPS, places))
    context = b.node("Transpose", [context], (_STEPS, heads, places), perm=[0, 2, 1, 3])
    joined = b.constant([-1, _STEPS, heads * places])
    return _dense(b, b.node("Reshape", [context, joined], (_STEPS, heads * places)), _WIDTH)
