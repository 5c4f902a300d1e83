"""Random graphs that no one would train: any value may meet any other, along any axis.

`tangles()` draws nodes from a pool of values by shape alone, so that units are merged, split,
turned, joined, cropped, repeated and mixed in ways that no architecture has.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.helpers.graph_builder import DrawnGraph, GraphBuilder

Draw = Callable[[st.SearchStrategy[Any]], Any]
Shape = tuple[int, ...]

_LARGEST = 300
"""Elements of a sample's value: larger ones are left alone."""


def _matmul(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    width = draw(st.integers(2, 4))
    return b.node("MatMul", [x, b.constant(b.matrix(shape[-1], width))], (*shape[:-1], width))


def _conv(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    if len(shape) not in (2, 3):
        return _matmul(b, draw, x)
    filters, rank = draw(st.integers(2, 4)), len(shape) - 1
    size = draw(st.sampled_from([1, 3]))
    inputs = [x, b.weight(filters, shape[0], *[size] * rank)]
    if draw(st.booleans()):
        inputs.append(b.weight(filters))
    return b.node("Conv", inputs, (filters, *shape[1:]), pads=[size // 2] * 2 * rank)


def _depthwise(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    if len(shape) not in (2, 3):
        return _activation(b, draw, x)
    many, rank = draw(st.integers(1, 2)), len(shape) - 1
    weight = b.weight(many * shape[0], 1, *[1] * rank)
    return b.node("Conv", [x, weight], (many * shape[0], *shape[1:]), group=shape[0])


def _activation(b: GraphBuilder, draw: Draw, x: str) -> str:
    return b.node(draw(st.sampled_from(["Relu", "Tanh", "Sigmoid", "Elu"])), [x], b.shapes[x])


def _constant(b: GraphBuilder, draw: Draw, x: str) -> str:
    """Meets a constant that broadcasts to it along some axes."""
    shape = b.shapes[x]
    sizes = [size if draw(st.booleans()) else 1 for size in shape]
    operands = [x, b.positive(*sizes[draw(st.integers(0, len(sizes) - 1)) :])]
    op_type = draw(st.sampled_from(["Add", "Mul", "Sub", "Div"]))
    first = op_type == "Div" or draw(st.booleans())  # never divides by the value: it may be zero
    return b.node(op_type, operands if first else operands[::-1], shape)


def _pair(b: GraphBuilder, draw: Draw, x: str) -> str:
    """Meets another value of its shape, or an average of itself."""
    shape = b.shapes[x]
    others = [name for name, known in b.shapes.items() if known == shape]
    other = draw(st.sampled_from(others))
    if draw(st.booleans()):
        axis = draw(st.integers(1, len(shape)))
        kept = (*shape[: axis - 1], 1, *shape[axis:])
        other = b.node("ReduceMean", [other], kept, axes=[axis], keepdims=1)
    operands = [x, other] if draw(st.booleans()) else [other, x]
    return b.node(draw(st.sampled_from(["Add", "Mul"])), operands, shape)


def _concat(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    axis = draw(st.integers(1, len(shape)))

    def fits(other: Shape) -> bool:
        return len(other) == len(shape) and all(
            other[place] == size for place, size in enumerate(shape) if place != axis - 1
        )

    other = draw(st.sampled_from([name for name, known in b.shapes.items() if fits(known)]))
    joined = shape[axis - 1] + b.shapes[other][axis - 1]
    return b.node("Concat", [x, other], (*shape[: axis - 1], joined, *shape[axis:]), axis=axis)


def _merge(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    if len(shape) < 2:
        return _split(b, draw, x)
    place = draw(st.integers(0, len(shape) - 2))
    merged = (*shape[:place], shape[place] * shape[place + 1], *shape[place + 2 :])
    return _reshape(b, draw, x, merged)


def _split(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    place = draw(st.integers(0, len(shape) - 1))
    parts = [part for part in range(1, shape[place] + 1) if shape[place] % part == 0]
    part = draw(st.sampled_from(parts))
    if len(shape) > 3:
        return _merge(b, draw, x)
    return _reshape(b, draw, x, (*shape[:place], part, shape[place] // part, *shape[place + 1 :]))


def _reshape(b: GraphBuilder, draw: Draw, x: str, shape: Shape) -> str:
    """To `shape`, the target written in one of the ways that mean it."""
    target = [-1, *shape]
    way = draw(st.sampled_from(["batch", "copied", "inferred"]))
    if way != "batch":
        target[0] = 0
    if way == "inferred":
        target[draw(st.integers(1, len(shape)))] = -1
    return b.node("Reshape", [x, b.constant(target)], shape)


def _transpose(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    order = draw(st.permutations(range(len(shape))))
    return b.node(
        "Transpose", [x], [shape[axis] for axis in order], perm=[0, *[axis + 1 for axis in order]]
    )


def _reduce(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    if len(shape) < 2:
        return _softmax(b, draw, x)
    axis = draw(st.integers(1, len(shape)))
    left = (*shape[: axis - 1], *shape[axis:])
    return b.node("ReduceMean", [x], left, axes=[axis], keepdims=0)


def _softmax(b: GraphBuilder, draw: Draw, x: str) -> str:
    return b.node("Softmax", [x], b.shapes[x], axis=draw(st.integers(1, len(b.shapes[x]))))


def _pad(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    axis, before, after = draw(st.tuples(*[st.integers(0, 1)] * 3))
    axis = min(axis, len(shape) - 1)
    pads = np.zeros((2, len(shape) + 1), dtype=np.int64)
    pads[:, axis + 1] = before, after
    wider = (*shape[:axis], shape[axis] + before + after, *shape[axis + 1 :])
    mode = draw(st.sampled_from(["constant", "edge"]))
    return b.node("Pad", [x, b.constant(pads.ravel())], wider, mode=mode)


def _crop(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = b.shapes[x]
    place = draw(st.integers(0, len(shape) - 1))
    if shape[place] < 2:
        return _activation(b, draw, x)
    first = draw(st.integers(0, 1))
    inputs = [x, *(b.constant([number]) for number in (first, shape[place], place + 1))]
    return b.node("Slice", inputs, (*shape[:place], shape[place] - first, *shape[place + 1 :]))


_STEPS = (
    _matmul,
    _conv,
    _depthwise,
    _activation,
    _constant,
    _pair,
    _concat,
    _merge,
    _split,
    _transpose,
    _reduce,
    _softmax,
    _pad,
    _crop,
)


@st.composite
def tangles(draw: Draw) -> DrawnGraph:
    """Graphs whose output is a dense layer over some of their values."""
    sample = tuple(draw(st.lists(st.integers(2, 3), min_size=1, max_size=3)))
    b = GraphBuilder(sample, draw(st.integers(0, 2**16)), share=draw(st.booleans()))
    _conv(b, draw, "x")
    for _ in range(draw(st.integers(3, 10))):
        x = draw(st.sampled_from(list(b.shapes)[-3:]))
        if int(np.prod(b.shapes[x])) <= _LARGEST:
            draw(st.sampled_from(_STEPS))(b, draw, x)
    ends = list(b.shapes)[-draw(st.integers(1, 2)) :]
    flat = [b.node("Flatten", [x], (int(np.prod(b.shapes[x])),)) for x in ends]
    width = sum(b.shapes[x][0] for x in flat)
    joined = b.node("Concat", flat, (width,), axis=1)
    return b.finish([b.node("MatMul", [joined, b.constant(b.matrix(width, 3))], (3,))])
