"""Rows of the operator table: pools over positions."""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from onnxgraph.operators.flow import positions
from onnxgraph.operators.operator import Call, Operator
from onnxgraph.operators.windows import Window

_MAXIMA = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _max_pool(call: Call, x: Tensor) -> Tensor:
    window = Window.of(call, call.integers("kernel_shape"), tuple(x.shape[2:]))
    padded = window.pad(x, float("-inf"), ceil=bool(call.integer("ceil_mode", 0)))
    maximum = _MAXIMA[len(window.kernel)]
    return maximum(padded, window.kernel, window.strides, 0, window.dilations)


def _window_sums(x: Tensor, window: Window) -> Tensor:
    """Sums over the windows of an already padded `(N, C, …)`."""
    channels = x.shape[1]
    ones = torch.ones((channels, 1, *window.kernel), dtype=x.dtype, device=x.device)
    convolve = _CONVOLUTIONS[len(window.kernel)]
    return convolve(x, ones, None, window.strides, 0, window.dilations, channels)


def _average_pool(call: Call, x: Tensor) -> Tensor:
    window = Window.of(call, call.integers("kernel_shape"), tuple(x.shape[2:]))
    ceil = bool(call.integer("ceil_mode", 0))
    sums = _window_sums(window.pad(x, 0.0, ceil=ceil), window)
    if not ceil and (not window.padded or call.integer("count_include_pad", 0)):
        return sums / prod(window.kernel)
    return sums / _window_sums(_counted(call, x, window, ceil=ceil), window)


def _counted(call: Call, x: Tensor, window: Window, *, ceil: bool) -> Tensor:
    """Ones where a position counts: the data, and its padding if that is included.

    What `ceil_mode` adds behind the padding never counts.
    """
    ones = torch.ones((1, 1, *x.shape[2:]), dtype=x.dtype, device=x.device)
    full = window.pad(ones, 0.0, ceil=ceil)
    if call.integer("count_include_pad", 0):
        inside = window.pad(ones, 1.0)
        widths: list[int] = []
        for axis in reversed(range(2, full.dim())):
            widths += [0, full.shape[axis] - inside.shape[axis]]
        full = F.pad(inside, widths)
    return full


def _global_average_pool(call: Call, x: Tensor) -> Tensor:  # noqa: ARG001
    return x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


def _global_max_pool(call: Call, x: Tensor) -> Tensor:  # noqa: ARG001
    return x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


def _local_response_normalization(call: Call, x: Tensor) -> Tensor:
    """Krizhevsky et al. 2012, section 3.3: squares are summed over neighbouring channels."""
    size = call.integer("size", 1)
    squares = F.pad((x * x).movedim(1, -1), ((size - 1) // 2, size // 2))
    sums = squares.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    alpha, beta = call.number("alpha", 1e-4), call.number("beta", 0.75)
    return x / (call.number("bias", 1.0) + alpha / size * sums) ** beta


ROWS = (
    Operator("MaxPool", _max_pool, positions.pooled, elementwise=True),
    Operator("AveragePool", _average_pool, positions.pooled),
    Operator("GlobalAveragePool", _global_average_pool, positions.pooled),
    Operator("LRN", _local_response_normalization, positions.channels_mixed),
    Operator("GlobalMaxPool", _global_max_pool, positions.pooled, elementwise=True),
)
