"""Rows of the operator table: what moves, joins, pads or reads values without computing."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from onnxgraph.operators.flow import axes, elementwise, embedding, positions, ranges, reshape
from onnxgraph.operators.flow.shape_reading import reads_shape
from onnxgraph.operators.operator import Call, Operator
from onnxgraph.operators.step import Step

_FLOATING = (
    ir.DataType.FLOAT,
    ir.DataType.DOUBLE,
    ir.DataType.FLOAT16,
    ir.DataType.BFLOAT16,
)


def torch_dtype(data_type: ir.DataType, float_dtype: torch.dtype) -> torch.dtype:
    """The torch type of an ONNX type; every floating type becomes `float_dtype`."""
    if data_type in _FLOATING:
        return float_dtype
    return torch.from_numpy(np.empty(0, dtype=data_type.numpy())).dtype


def _reshape(call: Call, x: Tensor, target: Tensor) -> Tensor:
    sizes = target.tolist()
    if not call.integer("allowzero", 0):
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(call: Call, x: Tensor) -> Tensor:
    axis = call.integer("axis", 1)
    axis = axis + x.dim() if axis < 0 else axis
    return x.reshape(int(np.prod(x.shape[:axis], dtype=np.int64)), -1)


def _transpose(call: Call, x: Tensor) -> Tensor:
    return x.permute(call.integers("perm", tuple(reversed(range(x.dim())))))


def _squeeze(call: Call, x: Tensor, chosen: Tensor | None = None) -> Tensor:  # noqa: ARG001
    if chosen is None:
        return x.squeeze()
    return x.squeeze(tuple(chosen.tolist()))


def _unsqueeze(call: Call, x: Tensor, chosen: Tensor) -> Tensor:  # noqa: ARG001
    rank = x.dim() + chosen.numel()
    for axis in sorted(int(axis) % rank for axis in chosen.tolist()):
        x = x.unsqueeze(axis)
    return x


def _cast(call: Call, x: Tensor) -> Tensor:
    return x.to(torch_dtype(ir.DataType(call.integer("to", 1)), call.float_dtype))


def _pad(
    call: Call,
    x: Tensor,
    pads: Tensor,
    value: Tensor | None = None,
    chosen: Tensor | None = None,
) -> Tensor:
    widths = [int(width) for width in pads.tolist()]
    named = range(x.dim()) if chosen is None else chosen.tolist()
    mode = call.text("mode", "constant")
    for place, axis in enumerate(named):
        sides = widths[place], widths[place + len(widths) // 2]
        if sides != (0, 0):
            x = _pad_axis(x, int(axis) % x.dim(), sides, mode, value)
    return x


def _pad_axis(
    x: Tensor, axis: int, sides: tuple[int, int], mode: str, value: Tensor | None
) -> Tensor:
    if mode == "constant":
        widths = [0, 0] * (x.dim() - 1 - axis) + list(sides)
        return F.pad(x, widths, value=0.0 if value is None else value.item())
    size = x.shape[axis]
    places = torch.arange(-sides[0], size + sides[1], device=x.device)
    if mode == "edge":
        places = places.clamp(0, size - 1)
    elif mode == "reflect":
        period = max(2 * (size - 1), 1)
        places = places.remainder(period)
        places = torch.minimum(places, period - places)
    else:  # "wrap", since opset 19
        places = places.remainder(size)
    return x.index_select(axis, places)


def _constant(call: Call) -> Tensor:
    for name in ("value_float", "value_floats", "value_int", "value_ints"):
        if name in call.attributes:
            dtype = call.float_dtype if "float" in name else torch.int64
            return torch.tensor(call.attributes[name], dtype=dtype)
    tensor: ir.TensorProtocol = call.attributes["value"]
    array = torch.from_numpy(np.array(tensor.numpy()))
    return array.to(torch_dtype(tensor.dtype, call.float_dtype))


def _shape(call: Call, x: Tensor) -> Tensor:
    sizes = list(x.shape)
    stop = call.attributes.get("end")
    return torch.tensor(sizes[call.integer("start", 0) : stop], dtype=torch.int64)


def _gather(call: Call, x: Tensor, indices: Tensor) -> Tensor:
    axis = call.integer("axis", 0) % x.dim()
    chosen = torch.where(indices < 0, indices + x.shape[axis], indices).to(x.device)
    taken = x.index_select(axis, chosen.reshape(-1))
    return taken.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def _slice(
    call: Call,  # noqa: ARG001
    x: Tensor,
    starts: Tensor,
    ends: Tensor,
    chosen: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    named = range(starts.numel()) if chosen is None else chosen.tolist()
    strides = [1] * starts.numel() if steps is None else steps.tolist()
    for axis, start, end, stride in zip(
        named, starts.tolist(), ends.tolist(), strides, strict=True
    ):
        size = x.shape[axis]
        places = range(size)[slice(start, None if stride < 0 and end < -size else end, stride)]
        x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64, device=x.device))
    return x


def _gather_elements(call: Call, x: Tensor, indices: Tensor) -> Tensor:
    axis = call.integer("axis", 0)
    return torch.gather(x, axis, indices.remainder(x.shape[axis]))


def _gather_flow(step: Step) -> None:
    if embedding.embeds(step):
        embedding.embedded(step)
    else:
        ranges.gathered(step)


ROWS = (
    Operator("Reshape", _reshape, reshape.reshaped, shrink=reshape.reshape_shrunk),
    Operator("Flatten", _flatten, reshape.flattened),
    Operator("Transpose", _transpose, axes.transpose),
    Operator("Squeeze", _squeeze, axes.squeeze),
    Operator("Unsqueeze", _unsqueeze, axes.unsqueeze),
    Operator("Concat", lambda call, *xs: torch.cat(xs, call.integer("axis", 0)), axes.concat),
    Operator("Cast", _cast, elementwise.same, elementwise=True),
    Operator("Pad", _pad, positions.padded, settings=frozenset({2})),
    Operator("Constant", _constant, elementwise.no_units),
    Operator("Shape", _shape, reads_shape),
    Operator("Gather", _gather, _gather_flow, shrink=ranges.gather_shrunk),
    Operator(
        "GatherElements",
        _gather_elements,
        lambda step: step.block("picks elements by a table of indices"),
    ),
    Operator("Slice", _slice, ranges.sliced, shrink=ranges.slice_shrunk),
)
