"""Rows of the operator table: reductions over axes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from onnxgraph.operators.flow import axes
from onnxgraph.operators.operator import Call, Operator

_Over = Callable[[Tensor, tuple[int, ...], bool], Tensor]
"""`(x, axes, keepdim)` to the reduced value."""


def _product(x: Tensor, chosen: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in chosen), reverse=True):
        x = x.prod(dim=axis, keepdim=keep)
    return x


def _row(name: str, over: _Over, *, since: int) -> Operator:
    """A reduction whose axes are an attribute below opset `since` and an input from there on."""

    def evaluate(call: Call, x: Tensor, axes_input: Tensor | None = None) -> Tensor:
        chosen = call.integers("axes")
        if axes_input is not None:
            chosen = tuple(axes_input.tolist())
        if not chosen:
            if call.integer("noop_with_empty_axes", 0):
                return x
            chosen = tuple(range(x.dim()))
        return over(x, chosen, bool(call.integer("keepdims", 1)))

    return Operator(name, evaluate, lambda step: axes.reduce(step, since=since))


ROWS = (
    _row("ReduceMean", lambda x, dim, keep: x.mean(dim=dim, keepdim=keep), since=18),
    _row("ReduceSum", lambda x, dim, keep: x.sum(dim=dim, keepdim=keep), since=13),
    _row("ReduceMax", lambda x, dim, keep: x.amax(dim=dim, keepdim=keep), since=18),
    _row("ReduceMin", lambda x, dim, keep: x.amin(dim=dim, keepdim=keep), since=18),
    _row("ReduceProd", _product, since=18),
    _row(
        "ReduceL1",
        lambda x, dim, keep: torch.linalg.vector_norm(x, 1, dim=dim, keepdim=keep),
        since=18,
    ),
    _row(
        "ReduceL2",
        lambda x, dim, keep: torch.linalg.vector_norm(x, 2, dim=dim, keepdim=keep),
        since=18,
    ),
    _row("ReduceSumSquare", lambda x, dim, keep: x.square().sum(dim=dim, keepdim=keep), since=18),
    _row("ReduceLogSumExp", lambda x, dim, keep: x.logsumexp(dim=dim, keepdim=keep), since=18),
)
