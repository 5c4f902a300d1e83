"""Rows of the operator table: what changes the number of positions by other means than a pool."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.operators.flow import positions
from onnxgraph.operators.operator import Call, Dims, Operator, elements
from onnxgraph.operators.windows import Window

_Coordinates: TypeAlias = NDArray[np.floating]
_Taps: TypeAlias = list[tuple[NDArray[np.int64], NDArray[np.floating]]]
_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def _resize(
    call: Call,
    x: Tensor,
    roi: Tensor | None = None,  # noqa: ARG001
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    """One axis after the other; `roi` belongs to a mode that is refused (`_resize_refusal`)."""
    given = sizes if scales is None or not scales.numel() else scales
    assert given is not None
    axes = call.integers("axes", tuple(range(x.dim())))
    for axis, number in zip(axes, given.tolist(), strict=True):
        size = x.shape[axis]
        target = int(number) if given is sizes else int(np.floor(size * number))
        scale = target / size if given is sizes else float(number)
        if target != size or scale != 1.0:
            x = _resize_axis(call, x, axis % x.dim(), (target, scale))
    return x


def _resize_axis(call: Call, x: Tensor, axis: int, target: tuple[int, float]) -> Tensor:
    size = x.shape[axis]
    at = _coordinates(call, size, *target)
    mode = call.text("mode", "nearest")
    if mode == "nearest":
        places = torch.from_numpy(_nearest(call, at).clip(0, size - 1)).to(x.device)
        return x.index_select(axis, places)
    taps = _linear_taps(at) if mode == "linear" else _cubic_taps(call, at)
    total = torch.zeros((), dtype=x.dtype, device=x.device)
    spread = [-1 if own == axis else 1 for own in range(x.dim())]
    for place, share in taps:
        taken = x.index_select(axis, torch.from_numpy(place.clip(0, size - 1)).to(x.device))
        total = total + taken * torch.from_numpy(share).to(x).reshape(spread)
    return total


def _coordinates(call: Call, size: int, target: int, scale: float) -> _Coordinates:
    """`(target,)` where each place of the output lies in the input (ONNX, Resize).

    In single precision where only the nearest place counts: as ONNX Runtime rounds, ties included.
    """
    mode = call.text("coordinate_transformation_mode", "half_pixel")
    dtype = np.float32 if call.text("mode", "nearest") == "nearest" else np.float64
    place: _Coordinates = np.arange(target).astype(dtype)
    step: _Coordinates = np.array(scale).astype(dtype)
    if mode == "align_corners":
        place = place * ((size - 1) / max(target - 1, 1))
    elif mode == "asymmetric":
        place = place / step
    elif mode == "tf_half_pixel_for_nn":
        place = (place + 0.5) / step
    elif mode == "pytorch_half_pixel" and target == 1:
        place = np.zeros_like(place)
    else:
        shift = size / 2 * (1 - target / (scale * size)) if mode == "half_pixel_symmetric" else 0.0
        place = shift + (place + 0.5) / step - 0.5
    return place


def _nearest(call: Call, at: _Coordinates) -> NDArray[np.int64]:
    mode = call.text("nearest_mode", "round_prefer_floor")
    rounded: _Coordinates = {
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
        "floor": np.floor(at),
        "ceil": np.ceil(at),
    }[mode]
    return rounded.astype(np.int64)


def _linear_taps(at: _Coordinates) -> _Taps:
    before = np.floor(at)
    share = at - before
    place = before.astype(np.int64)
    return [(place, 1 - share), (place + 1, share)]


def _cubic_taps(call: Call, at: _Coordinates) -> _Taps:
    """Four taps by Keys' kernel (1981), its parameter in `cubic_coeff_a`."""
    a = call.number("cubic_coeff_a", -0.75)
    before = np.floor(at)
    taps: _Taps = []
    for offset in (-1, 0, 1, 2):
        d = np.abs(at - before - offset)
        inner = ((a + 2) * d - (a + 3)) * d * d + 1
        outer = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        taps.append(((before + offset).astype(np.int64), np.where(d <= 1, inner, outer)))
    return taps


def _resize_refusal(call: Call) -> str | None:
    if call.integer("antialias", 0) or call.integer("exclude_outside", 0):
        return "filters against aliasing or weighs the edges anew"
    if call.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        return "crops while it resizes"
    if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        return "keeps the aspect ratio"
    return None


def _depth_to_space(call: Call, x: Tensor) -> Tensor:
    block = call.integer("blocksize", 1)
    if call.text("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, block)
    n, channels, height, width = x.shape
    parts = x.reshape(n, block, block, channels // block**2, height, width)
    moved = parts.permute(0, 3, 4, 1, 5, 2)
    return moved.reshape(n, channels // block**2, height * block, width * block)


def _space_to_depth(call: Call, x: Tensor) -> Tensor:
    block = call.integer("blocksize", 1)
    n, channels, height, width = x.shape
    parts = x.reshape(n, channels, height // block, block, width // block, block)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, height // block, width // block)


def _conv_transpose(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The full transposed convolution, cropped by the pads."""
    window = Window.of(call, tuple(weight.shape[2:]), tuple(x.shape[2:]))
    rank = len(window.kernel)
    extra = call.integers("output_padding", (0,) * rank)
    full = _TRANSPOSED[rank](
        x, weight, None, window.strides, 0, 0, call.integer("group", 1), window.dilations
    )
    widths: list[int] = []
    for axis in reversed(range(rank)):
        widths += [-window.before[axis], extra[axis] - window.after[axis]]
    y = F.pad(full, widths)
    return y if bias is None else y + bias.reshape(-1, *[1] * rank)


def _conv_transpose_refusal(call: Call) -> str | None:
    if call.text("auto_pad", "NOTSET").startswith("SAME") or call.integers("output_shape"):
        return "chooses its pads by the size of its output"
    return None


def _conv_transpose_macs(
    call: Call,  # noqa: ARG001
    inputs: tuple[Dims, ...],
    outputs: tuple[Dims, ...],  # noqa: ARG001
) -> int:
    return elements(inputs[0]) * elements(inputs[1][1:])


ROWS = (
    Operator(
        "Resize",
        _resize,
        positions.resized,
        refusal=_resize_refusal,
        settings=frozenset({1, 2}),
    ),
    Operator("DepthToSpace", _depth_to_space, positions.rearranged),
    Operator("SpaceToDepth", _space_to_depth, positions.rearranged),
    Operator(
        "ConvTranspose",
        _conv_transpose,
        positions.spread_out,
        _conv_transpose_macs,
        refusal=_conv_transpose_refusal,
    ),
)
