"""Rows of the operator table: normalisers other than BatchNormalization and Softmax."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from onnxgraph.operators.flow import normalisers
from onnxgraph.operators.operator import Call, Operator


def _layer(call: Call, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """Ba et al. 2016; the statistics are over all axes from `axis` on."""
    shape = x.shape[call.integer("axis", -1) % x.dim() :]
    normal = F.layer_norm(x, shape, None, None, call.number("epsilon", 1e-5)) * scale
    return normal if bias is None else normal + bias


def _root_mean_square(call: Call, x: Tensor, scale: Tensor) -> Tensor:
    axes = tuple(range(call.integer("axis", -1) % x.dim(), x.dim()))
    mean = x.square().mean(dim=axes, keepdim=True)
    return x / torch.sqrt(mean + call.number("epsilon", 1e-5)) * scale


def _instance(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    axes = tuple(range(2, x.dim()))
    variance, mean = torch.var_mean(x, dim=axes, correction=0, keepdim=True)
    spread = [-1] + [1] * (x.dim() - 2)
    normal = (x - mean) / torch.sqrt(variance + call.number("epsilon", 1e-5))
    return normal * scale.reshape(spread) + bias.reshape(spread)


def _group(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Wu and He 2018; scale and bias are one per channel (since opset 21)."""
    groups = call.integer("num_groups", 1)
    return F.group_norm(x, groups, scale, bias, call.number("epsilon", 1e-5))


def _norm(call: Call, x: Tensor) -> Tensor:
    axis, order = call.integer("axis", -1), call.integer("p", 2)
    length = torch.linalg.vector_norm(x, order, dim=axis, keepdim=True)
    return torch.where(length == 0, torch.zeros_like(x), x / length)


ROWS = (
    Operator("LayerNormalization", _layer, normalisers.trailing),
    Operator("RMSNormalization", _root_mean_square, normalisers.trailing),
    Operator("InstanceNormalization", _instance, normalisers.by_channel),
    Operator("GroupNormalization", _group, normalisers.by_group, shrink=normalisers.groups_shrunk),
    Operator("LpNormalization", _norm, normalisers.by_norm),
)
