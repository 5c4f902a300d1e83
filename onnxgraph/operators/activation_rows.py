"""Rows of the operator table: activations and what else acts place by place on one input."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from onnxgraph.operators.flow import axes, elementwise
from onnxgraph.operators.operator import Call, Evaluate, Operator

_SIXTH = float(np.float32(1.0 / 6.0))
"""HardSwish is defined by a HardSigmoid whose alpha is an attribute, in single precision."""


def _leaky_relu(call: Call, x: Tensor) -> Tensor:
    return F.leaky_relu(x, call.number("alpha", 0.01))


def _elu(call: Call, x: Tensor) -> Tensor:
    return F.elu(x, call.number("alpha", 1.0))


def _prelu(call: Call, x: Tensor, slope: Tensor) -> Tensor:  # noqa: ARG001
    """The slope broadcasts to the data, so it is no plain `F.prelu`."""
    return torch.where(x < 0, slope * x, x)


def _hard_sigmoid(call: Call, x: Tensor) -> Tensor:
    return torch.clamp(call.number("alpha", 0.2) * x + call.number("beta", 0.5), 0.0, 1.0)


def _hard_swish(call: Call, x: Tensor) -> Tensor:  # noqa: ARG001
    return x * torch.clamp(_SIXTH * x + 0.5, 0.0, 1.0)


def _clip(
    call: Call,  # noqa: ARG001
    x: Tensor,
    low: Tensor | None = None,
    high: Tensor | None = None,
) -> Tensor:
    """Bounds are inputs since opset 11; where they cross, the upper one holds."""
    if low is not None:
        x = torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def _dropout(call: Call, x: Tensor, *settings: Tensor | None) -> Tensor | tuple[Tensor, ...]:
    """Inference: the identity, with a mask of ones where one is asked for."""
    if len(settings) > 1 and settings[1] is not None and bool(settings[1]):
        raise ValueError(f"Dropout '{call.name}' is in training mode")
    return x if call.outputs == 1 else (x, torch.ones_like(x, dtype=torch.bool))


def _softmax(call: Call, x: Tensor) -> Tensor:
    return torch.softmax(x, call.integer("axis", -1))


def _log_softmax(call: Call, x: Tensor) -> Tensor:
    return torch.log_softmax(x, call.integer("axis", -1))


def _batch_normalization(
    call: Call, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    if call.integer("training_mode", 0):
        raise ValueError(f"BatchNormalization '{call.name}' is in training mode")
    spread = [1, -1] + [1] * (x.dim() - 2)
    factor = scale / torch.sqrt(variance + call.number("epsilon", 1e-5))
    return (x - mean.reshape(spread)) * factor.reshape(spread) + bias.reshape(spread)


def _activation(name: str, evaluate: Evaluate) -> Operator:
    return Operator(name, evaluate, elementwise.same, elementwise=True)


ROWS = (
    _activation("Relu", lambda _call, x: torch.relu(x)),
    _activation("LeakyRelu", _leaky_relu),
    _activation("Elu", _elu),
    _activation("Sigmoid", lambda _call, x: torch.sigmoid(x)),
    _activation("HardSigmoid", _hard_sigmoid),
    _activation("Tanh", lambda _call, x: torch.tanh(x)),
    _activation("HardSwish", _hard_swish),
    _activation("Identity", lambda _call, x: x),
    Operator("Clip", _clip, elementwise.same, elementwise=True, settings=frozenset({1, 2})),
    Operator(
        "Dropout",
        _dropout,
        elementwise.same,
        elementwise=True,
        outputs=2,
        settings=frozenset({1}),
    ),
    Operator("PRelu", _prelu, elementwise.broadcast, elementwise=True),
    Operator("Softmax", _softmax, axes.normalised),
    Operator("LogSoftmax", _log_softmax, axes.normalised),
    Operator(
        "BatchNormalization",
        _batch_normalization,
        elementwise.per_channel,
        elementwise=True,
        settings=frozenset({3, 4}),
    ),
)
