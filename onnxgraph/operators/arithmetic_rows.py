"""Rows of the operator table: arithmetic of several operands, with numpy's broadcasting."""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor

from onnxgraph.operators.flow import elementwise
from onnxgraph.operators.operator import Call, Evaluate, Operator


def _divide(call: Call, left: Tensor, right: Tensor) -> Tensor:  # noqa: ARG001
    """Integers are divided towards zero, as exported shape arithmetic expects."""
    if left.is_floating_point():
        return left / right
    return left.div(right, rounding_mode="trunc")


def _modulo(call: Call, left: Tensor, right: Tensor) -> Tensor:
    """With `fmod` the sign is the dividend's, else the divisor's."""
    return torch.fmod(left, right) if call.integer("fmod", 0) else torch.remainder(left, right)


def _mean(call: Call, *operands: Tensor) -> Tensor:  # noqa: ARG001
    return reduce(torch.add, operands) / len(operands)


def _row(name: str, evaluate: Evaluate) -> Operator:
    return Operator(name, evaluate, elementwise.broadcast, elementwise=True)


ROWS = (
    _row("Add", lambda _call, left, right: left + right),
    _row("Sub", lambda _call, left, right: left - right),
    _row("Mul", lambda _call, left, right: left * right),
    _row("Div", _divide),
    _row("Mod", _modulo),
    _row("Pow", lambda _call, base, exponent: torch.pow(base, exponent).to(base.dtype)),
    _row("Max", lambda _call, *operands: reduce(torch.maximum, operands)),
    _row("Min", lambda _call, *operands: reduce(torch.minimum, operands)),
    _row("Sum", lambda _call, *operands: reduce(torch.add, operands)),
    _row("Mean", _mean),
)
