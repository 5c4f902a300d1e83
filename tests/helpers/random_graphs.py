"""Random small classifiers as ONNX graphs, for property tests.

`classifiers()` draws chains of convolutions (strided, padded, dilated, grouped, depthwise), pools,
scales, residual blocks, squeeze-excite gates, branches that are joined, NHWC excursions, flattens
in both memory orders and dense layers in every spelling that exporters use.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.helpers.graph_builder import DrawnGraph, GraphBuilder, in_dtype

__all__ = ["DrawnGraph", "classifiers", "in_dtype"]

ACTIVATIONS = ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish", "Clip")

Draw = Callable[[st.SearchStrategy[Any]], Any]


def _detour(b: GraphBuilder, draw: Draw, x: str) -> str:
    """Nodes that change nothing."""
    shape = b.shapes[x]
    way = draw(st.sampled_from(["Identity", "Dropout", "axis", "merge"]))
    if way == "axis":
        place = draw(st.integers(1, len(shape) + 1))
        axes = b.constant([place])
        x = b.node("Unsqueeze", [x, axes], (*shape[: place - 1], 1, *shape[place - 1 :]))
        return b.node("Squeeze", [x, axes], shape)
    if way == "merge":
        x = b.node("Flatten", [x], (int(np.prod(shape)),))
        return b.node("Reshape", [x, b.constant([-1, *shape])], shape)
    return b.node(way, [x], shape)


def _conv(b: GraphBuilder, draw: Draw, x: str, *, groups: int = 1, multiplier: int = 0) -> str:
    """A convolution; `multiplier` filters for each group, if it is given."""
    channels, *sizes = b.shapes[x]
    filters = groups * (multiplier or draw(st.integers(2, 4)))
    rank = len(sizes)
    kernel = [draw(st.integers(1, 3)) for _ in range(rank)]
    dilations = [draw(st.integers(1, 2)) if k > 1 else 1 for k in kernel]
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = [draw(st.integers(0, 2)) for _ in range(2 * rank)]
    for axis in range(rank):
        lacking = extents[axis] - sizes[axis] - pads[axis] - pads[rank + axis]
        pads[axis] += max(lacking, 0)
    strides = [draw(st.integers(1, 2)) for _ in range(rank)]
    result = [
        (sizes[a] + pads[a] + pads[rank + a] - extents[a]) // strides[a] + 1 for a in range(rank)
    ]
    inputs = [x, b.weight(filters, channels // groups, *kernel)]
    if draw(st.booleans()):
        inputs.append(b.weight(filters))
    shape = (filters, *result)
    return b.node(
        "Conv", inputs, shape, pads=pads, strides=strides, dilations=dilations, group=groups
    )


def _same_conv(b: GraphBuilder, x: str, filters: int) -> str:
    channels, *sizes = b.shapes[x]
    weight = b.weight(filters, channels, *[3] * len(sizes))
    inputs = [x, weight, b.weight(filters)]
    return b.node("Conv", inputs, (filters, *sizes), auto_pad="SAME_UPPER")


def _depthwise(b: GraphBuilder, draw: Draw, x: str) -> str:
    return _conv(b, draw, x, groups=b.shapes[x][0], multiplier=draw(st.integers(1, 2)))


def _grouped(b: GraphBuilder, draw: Draw, x: str) -> str:
    return _conv(b, draw, x, groups=2) if b.shapes[x][0] % 2 == 0 else _conv(b, draw, x)


def _activation(b: GraphBuilder, draw: Draw, x: str) -> str:
    name = draw(st.sampled_from(ACTIVATIONS))
    bounds = [b.constant(np.array(-0.5)), b.constant(np.array(1.0))] if name == "Clip" else []
    return b.node(name, [x, *bounds], b.shapes[x])


def _swish(b: GraphBuilder, draw: Draw, x: str) -> str:
    gate = b.node("Sigmoid", [x], b.shapes[x])
    return b.node("Mul", [x, gate] if draw(st.booleans()) else [gate, x], b.shapes[x])


def _batch_norm(b: GraphBuilder, draw: Draw, x: str) -> str:
    c = b.shapes[x][0]
    inputs = [x, b.weight(c), b.weight(c), b.weight(c), b.positive(c)]
    return b.node("BatchNormalization", inputs, b.shapes[x])


def _scale(b: GraphBuilder, draw: Draw, x: str) -> str:
    shape = (b.shapes[x][0], *[1] * (len(b.shapes[x]) - 1))
    factor = b.positive(*shape)
    op_type = draw(st.sampled_from(["Mul", "Add"]))
    return b.node(op_type, [x, factor] if draw(st.booleans()) else [factor, x], b.shapes[x])


def _pool(b: GraphBuilder, draw: Draw, x: str) -> str:
    channels, *sizes = b.shapes[x]
    if min(sizes) < 2:
        return _activation(b, draw, x)
    shape = (channels, *[size // 2 for size in sizes])
    op_type = draw(st.sampled_from(["MaxPool", "AveragePool"]))
    twos = [2] * len(sizes)
    return b.node(op_type, [x], shape, kernel_shape=twos, strides=twos)


def _pad(b: GraphBuilder, draw: Draw, x: str) -> str:
    channels, *sizes = b.shapes[x]
    mode = draw(st.sampled_from(["constant", "edge", "reflect"]))
    if min(sizes) < 2 and mode == "reflect":
        mode = "edge"
    rank = len(sizes)
    before, after = ([draw(st.integers(0, 1)) for _ in range(rank)] for _ in range(2))
    inputs = [x, b.constant([0, 0, *before, 0, 0, *after])]
    if mode == "constant" and draw(st.booleans()):
        inputs.append(b.constant(np.array(0.7)))
    shape = (channels, *[s + f + t for s, f, t in zip(sizes, before, after, strict=True)])
    return b.node("Pad", inputs, shape, mode=mode)


def _residual(b: GraphBuilder, draw: Draw, x: str) -> str:
    width, shape = draw(st.integers(2, 5)), b.shapes[x]
    inner = _activation(b, draw, _same_conv(b, x, width))
    branch = _same_conv(b, inner, shape[0])
    total = b.node("Add", [x, branch] if draw(st.booleans()) else [branch, x], shape)
    return _activation(b, draw, total)


def _squeeze_excite(b: GraphBuilder, draw: Draw, x: str) -> str:
    channels, *sizes = b.shapes[x]
    ones = [1] * len(sizes)
    squeezed = b.node("GlobalAveragePool", [x], (channels, *ones))
    inner = b.node("Conv", [squeezed, b.weight(3, channels, *ones), b.weight(3)], (3, *ones))
    inner = b.node("Relu", [inner], (3, *ones))
    gate = b.node("Conv", [inner, b.weight(channels, 3, *ones)], (channels, *ones))
    gate = b.node("Sigmoid", [gate], (channels, *ones))
    return b.node("Mul", [gate, x] if draw(st.booleans()) else [x, gate], b.shapes[x])


def _branches(b: GraphBuilder, draw: Draw, x: str) -> str:
    parts = [_activation(b, draw, _same_conv(b, x, draw(st.integers(2, 4)))) for _ in range(2)]
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, 2)), x)
    channels = sum(b.shapes[part][0] for part in parts)
    return b.node("Concat", parts, (channels, *b.shapes[x][1:]), axis=1)


def _channels_last(b: GraphBuilder, draw: Draw, x: str) -> str:
    """Out to NHWC, through a dense layer over channels, and back."""
    channels, *sizes = b.shapes[x]
    rank = len(sizes)
    x = b.node("Transpose", [x], (*sizes, channels), perm=[0, *range(2, rank + 2), 1])
    x = _activation(b, draw, _matmul(b, draw, x, draw(st.integers(2, 5))))
    back = (b.shapes[x][-1], *sizes)
    return b.node("Transpose", [x], back, perm=[0, rank + 1, *range(1, rank + 1)])


def _matmul(b: GraphBuilder, draw: Draw, x: str, width: int) -> str:
    shape = (*b.shapes[x][:-1], width)
    scaled = b.constant(b.matrix(b.shapes[x][-1], width))
    product = b.node("MatMul", [x, scaled], shape)
    order = draw(st.sampled_from(["none", "first", "second"]))
    if order == "none":
        return product
    bias = b.weight(width)
    return b.node("Add", [bias, product] if order == "first" else [product, bias], shape)


def _gemm(b: GraphBuilder, draw: Draw, x: str, width: int) -> str:
    (inputs,) = b.shapes[x]
    matrix = b.matrix(inputs, width)
    transposed = draw(st.integers(0, 1))
    operands = [x, b.constant(matrix.T.copy() if transposed else matrix)]
    bias = draw(st.sampled_from([None, (width,), (1, width), ()]))
    if bias is not None:
        operands.append(b.weight(*bias))
    scales = {"alpha": draw(st.sampled_from([1.0, 0.5])), "beta": draw(st.sampled_from([1.0, 2.0]))}
    return b.node("Gemm", operands, (width,), transB=transposed, **scales)


def _dense(b: GraphBuilder, draw: Draw, x: str, width: int) -> str:
    return (_gemm if draw(st.booleans()) else _matmul)(b, draw, x, width)


def _flatten(b: GraphBuilder, draw: Draw, x: str) -> str:
    """Positions and channels become one vector, in one of the ways that exporters know."""
    channels, *sizes = b.shapes[x]
    total = channels * int(np.prod(sizes))
    way = draw(st.sampled_from(["flatten", "reshape", "channels_last", "average", "mean"]))
    if way == "flatten":
        return b.node("Flatten", [x], (total,))
    if way == "reshape":
        target = draw(st.sampled_from([[-1, total], [0, -1], [0, total]]))
        return b.node("Reshape", [x, b.constant(target)], (total,))
    if way == "channels_last":
        order = [0, *range(2, len(sizes) + 2), 1]
        x = b.node("Transpose", [x], (*sizes, channels), perm=order)
        return b.node("Reshape", [x, b.constant([-1, total])], (total,))
    if way == "average":
        x = b.node("GlobalAveragePool", [x], (channels, *[1] * len(sizes)))
        return b.node("Flatten", [x], (channels,))
    axes = list(range(2, len(sizes) + 2))
    return b.node("ReduceMean", [x], (channels,), axes=axes, keepdims=0)


_SPATIAL = (
    _conv,
    _conv,
    _detour,
    _depthwise,
    _grouped,
    _swish,
    _batch_norm,
    _scale,
    _pool,
    _pad,
    _residual,
    _squeeze_excite,
    _branches,
    _channels_last,
)


@st.composite
def classifiers(draw: Draw) -> DrawnGraph:
    """Graphs with a linear classifier of three classes behind at least one hidden layer."""
    rank = draw(st.sampled_from([1, 2, 2]))
    sample = (draw(st.integers(1, 3)), *[draw(st.integers(4, 7)) for _ in range(rank)])
    b = GraphBuilder(sample, draw(st.integers(0, 2**16)), share=draw(st.booleans()))
    x = _activation(b, draw, _conv(b, draw, "x"))
    for _ in range(draw(st.integers(1, 4))):
        x = draw(st.sampled_from(_SPATIAL))(b, draw, x)
        if draw(st.booleans()):
            x = _activation(b, draw, x)
    x = _flatten(b, draw, x)
    if draw(st.booleans()):
        parts = [_activation(b, draw, _dense(b, draw, x, draw(st.integers(2, 6)))) for _ in "ab"]
        x = b.node("Concat", parts, (sum(b.shapes[part][0] for part in parts),), axis=-1)
    else:
        x = _activation(b, draw, _dense(b, draw, x, draw(st.integers(2, 6))))
    return b.finish([_dense(b, draw, x, 3)])
