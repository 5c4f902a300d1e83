"""Rows of the operator table: comparisons, logic, and the choice between two values."""

from __future__ import annotations

import torch

from onnxgraph.operators.flow import elementwise
from onnxgraph.operators.operator import Evaluate, Operator


def _row(name: str, evaluate: Evaluate) -> Operator:
    return Operator(name, evaluate, elementwise.broadcast, elementwise=True)


ROWS = (
    _row("Equal", lambda _call, left, right: left == right),
    _row("Less", lambda _call, left, right: left < right),
    _row("LessOrEqual", lambda _call, left, right: left <= right),
    _row("Greater", lambda _call, left, right: left > right),
    _row("GreaterOrEqual", lambda _call, left, right: left >= right),
    _row("And", lambda _call, left, right: left & right),
    _row("Or", lambda _call, left, right: left | right),
    _row("Xor", lambda _call, left, right: left ^ right),
    Operator("Not", lambda _call, x: ~x, elementwise.same, elementwise=True),
    Operator("IsNaN", lambda _call, x: torch.isnan(x), elementwise.same, elementwise=True),
    _row("Where", lambda _call, chosen, left, right: torch.where(chosen, left, right)),
)
