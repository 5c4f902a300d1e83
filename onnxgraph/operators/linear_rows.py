"""Rows of the operator table: operators with a weight matrix."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from onnxgraph.operators.facet import LinearFacet
from onnxgraph.operators.flow import linear as flow
from onnxgraph.operators.flow import products
from onnxgraph.operators.operator import Call, Dims, Operator, elements
from onnxgraph.operators.step import Step
from onnxgraph.operators.windows import Window, unfold

_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _conv(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    window = Window.of(call, tuple(weight.shape[2:]), tuple(x.shape[2:]))
    groups = call.integer("group", 1)
    padding: tuple[int, ...] = window.before
    if window.before != window.after:
        x, padding = window.pad(x, 0.0), (0,) * len(window.kernel)
    convolve = _CONVOLUTIONS[len(window.kernel)]
    return convolve(x, weight, bias, window.strides, padding, window.dilations, groups)


def _conv_macs(call: Call, inputs: tuple[Dims, ...], outputs: tuple[Dims, ...]) -> int:  # noqa: ARG001
    return elements(outputs[0]) * elements(inputs[1][1:])


def _conv_patches(
    call: Call, x: Tensor, weight: tuple[int, ...], chosen: Tensor | None = None
) -> Tensor:
    return unfold(x, Window.of(call, weight[2:], tuple(x.shape[2:])), chosen)


def _conv_pads(call: Call) -> bool:
    same = call.text("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER")
    return same or any(call.integers("pads"))


_CONV = LinearFacet(
    data_axis=1,
    input_axis=lambda _call: 1,
    output_axis=lambda _call: 0,
    applies=lambda call, _weight: call.integer("group", 1) == 1,
    refusal="has a computed weight",
    patches=_conv_patches,
    scales=lambda _call: (1.0, 1.0),
    pads_with_zeros=_conv_pads,
    keeps_other_axes=False,
    has_bias_input=True,
)


def _conv_flow(step: Step) -> None:
    if step.call.integer("group", 1) == 1:
        flow.linear(step, _CONV)
    else:
        flow.grouped(step)


def _gemm(call: Call, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    left = a.T if call.integer("transA", 0) else a
    right = b.T if call.integer("transB", 0) else b
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    product = left @ right
    product = product if alpha == 1.0 else alpha * product
    if c is None:
        return product
    return product + (c if beta == 1.0 else beta * c)


def _rows(
    call: Call,  # noqa: ARG001
    x: Tensor,
    weight: tuple[int, ...],  # noqa: ARG001
    chosen: Tensor | None = None,
) -> Tensor:
    if chosen is not None:
        x = x.reshape(len(x), -1, x.shape[-1])[:, chosen.to(x.device)]
    return x.reshape(-1, x.shape[-1])


def _contracted_macs(call: Call, inputs: tuple[Dims, ...], outputs: tuple[Dims, ...]) -> int:
    contracted = 0 if call.op_type == "Gemm" and call.integer("transA", 0) else -1
    return elements(outputs[0]) * (inputs[0][contracted] or 1)


_GEMM = LinearFacet(
    data_axis=-1,
    input_axis=lambda call: call.integer("transB", 0),
    output_axis=lambda call: 1 - call.integer("transB", 0),
    applies=lambda call, _weight: not call.integer("transA", 0),
    refusal="has a computed weight or transposes its data",
    patches=_rows,
    scales=lambda call: (call.number("alpha", 1.0), call.number("beta", 1.0)),
    pads_with_zeros=lambda _call: False,
    keeps_other_axes=False,
    has_bias_input=True,
)

_MATMUL = LinearFacet(
    data_axis=-1,
    input_axis=lambda _call: 0,
    output_axis=lambda _call: 1,
    applies=lambda _call, weight: len(weight) == 2,
    refusal="multiplies values that are both computed, or by more than one matrix",
    patches=_rows,
    scales=lambda _call: (1.0, 1.0),
    pads_with_zeros=lambda _call: False,
    keeps_other_axes=True,
    has_bias_input=False,
)


def _matmul_flow(step: Step) -> None:
    """A linear layer, a product of two computed values, or one with a constant on the left."""
    if step.parameter(1) is not None:
        flow.linear(step, _MATMUL)
    elif step.parameter(0) is not None:
        products.mixed_from_left(step)
    else:
        products.product(step)


ROWS = (
    Operator("Conv", _conv, _conv_flow, _conv_macs, _CONV, shrink=flow.groups_shrunk),
    Operator("Gemm", _gemm, lambda step: flow.linear(step, _GEMM), _contracted_macs, _GEMM),
    Operator(
        "MatMul",
        lambda _call, a, b: torch.matmul(a, b),
        _matmul_flow,
        _contracted_macs,
        _MATMUL,
    ),
)
