"""Rows of the operator table: arithmetic of two operands, with numpy's broadcasting."""

from __future__ import annotations

from torch import Tensor

from onnxgraph.operators.flow import elementwise
from onnxgraph.operators.operator import Call, Evaluate, Operator


def _divide(call: Call, left: Tensor, right: Tensor) -> Tensor:  # noqa: ARG001
    """Integers are divided towards zero, as exported shape arithmetic expects."""
    if left.is_floating_point():
        return left / right
    return left.div(right, rounding_mode="trunc")


def _row(name: str, evaluate: Evaluate) -> Operator:
    return Operator(name, evaluate, elementwise.broadcast, elementwise=True)


ROWS = (
    _row("Add", lambda _call, left, right: left + right),
    _row("Sub", lambda _call, left, right: left - right),
    _row("Mul", lambda _call, left, right: left * right),
    _row("Div", _divide),
)
