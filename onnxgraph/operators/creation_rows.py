"""Rows of the operator table: what makes, repeats or masks values by shapes."""

from __future__ import annotations

import onnx_ir as ir
import torch
from torch import Tensor

from onnxgraph.operators.flow import axes, creation, elementwise
from onnxgraph.operators.movement_rows import torch_dtype
from onnxgraph.operators.operator import Call, Operator


def _expand(call: Call, x: Tensor, target: Tensor) -> Tensor:  # noqa: ARG001
    return x.expand(torch.broadcast_shapes(tuple(x.shape), tuple(target.tolist())))


def _filled(call: Call, shape: Tensor) -> Tensor:
    tensor: ir.TensorProtocol | None = call.attributes.get("value")
    if tensor is None:
        return torch.zeros(shape.tolist(), dtype=call.float_dtype)
    dtype = torch_dtype(tensor.dtype, call.float_dtype)
    return torch.full(shape.tolist(), tensor.numpy().item(), dtype=dtype)


def _trilu(call: Call, x: Tensor, diagonal: Tensor | None = None) -> Tensor:
    offset = 0 if diagonal is None else int(diagonal)
    return torch.triu(x, offset) if call.integer("upper", 1) else torch.tril(x, offset)


def _cumulated(call: Call, x: Tensor, axis: Tensor) -> Tensor:
    along = int(axis)
    x = x.flip(along) if call.integer("reverse", 0) else x
    total = x.cumsum(along)
    total = total - x if call.integer("exclusive", 0) else total
    return total.flip(along) if call.integer("reverse", 0) else total


ROWS = (
    Operator("Expand", _expand, creation.expanded, shrink=creation.expand_shrunk),
    Operator("Tile", lambda _call, x, times: x.repeat(times.tolist()), creation.tiled),
    Operator("ConstantOfShape", _filled, elementwise.no_units),
    Operator(
        "Range",
        lambda _call, start, stop, step: torch.arange(
            start.item(), stop.item(), step.item(), dtype=start.dtype
        ),
        elementwise.no_units,
    ),
    Operator("Trilu", _trilu, axes.last_two_mixed, settings=frozenset({1})),
    Operator("CumSum", _cumulated, axes.cumulated, settings=frozenset({1})),
)
