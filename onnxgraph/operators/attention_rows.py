"""Row of the operator table: scaled dot-product attention (Vaswani et al. 2017), since opset 23."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from onnxgraph.operators.flow import attention
from onnxgraph.operators.operator import Call, Dims, Operator, elements


def _attention(
    call: Call,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *caches: Tensor | None,
) -> Tensor:
    """Operands `(N, heads, S, D)`, or `(N, S, heads · D)` with the heads as attributes."""
    if any(cache is not None for cache in caches):
        raise ValueError(f"Attention '{call.name}' reads cached keys")
    merged = query.dim() == 3
    if merged:
        query = _parted(query, call.integer("q_num_heads", 1))
        key, value = (_parted(x, call.integer("kv_num_heads", 1)) for x in (key, value))
    repeats = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(repeats, dim=1) for x in (key, value))
    scale = float(call.attributes.get("scale", 1.0 / sqrt(query.shape[-1])))
    scores = query @ key.transpose(-1, -2) * scale
    softcap = call.number("softcap", 0.0)
    if softcap:
        scores = softcap * torch.tanh(scores / softcap)
    scores = scores + _bias(call, query, key, mask)
    weights = torch.softmax(scores, dim=-1)
    # A row in which everything is masked attends to nothing.
    weights = torch.where(scores.isneginf().all(dim=-1, keepdim=True), 0.0, weights)
    result = weights @ value
    return result.transpose(1, 2).flatten(2) if merged else result


def _parted(x: Tensor, heads: int) -> Tensor:
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _bias(call: Call, query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    shape = query.shape[-2], key.shape[-2]
    bias = torch.zeros(shape, dtype=query.dtype, device=query.device)
    if call.integer("is_causal", 0):
        later = torch.ones(shape, dtype=torch.bool, device=query.device).triu(1)
        bias = bias.masked_fill(later, float("-inf"))
    if mask is None:
        return bias
    if mask.dtype == torch.bool:
        return bias.expand(torch.broadcast_shapes(bias.shape, mask.shape)).masked_fill(
            ~mask, float("-inf")
        )
    return bias + mask


def _macs(call: Call, inputs: tuple[Dims, ...], outputs: tuple[Dims, ...]) -> int:  # noqa: ARG001
    """Every place of a query meets every key, every place of the output every value."""
    keys = inputs[attention.KEY][-2] or 1
    return keys * (elements(inputs[0]) + elements(outputs[0]))


ROWS = (
    Operator(
        "Attention",
        _attention,
        attention.attended,
        _macs,
        settings=frozenset({attention.MASK}),
        shrink=attention.heads_shrunk,
    ),
)
