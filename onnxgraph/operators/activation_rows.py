"""Rows of the operator table: activations and what else acts place by place on one input."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


def _gelu(call: Call, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=call.text("approximate", "none"))


def _selu(call: Call, x: Tensor) -> Tensor:
    alpha = call.number("alpha", 1.6732632423543772)
    inner = torch.where(x > 0, x, alpha * (torch.exp(x) - 1))
    return call.number("gamma", 1.0507009873554805) * inner


def _thresholded(call: Call, x: Tensor) -> Tensor:
    return torch.where(x > call.number("alpha", 1.0), x, torch.zeros_like(x))


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


_FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Log": torch.log,
    "Mish": F.mish,
    "Neg": torch.neg,
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Sqrt": torch.sqrt,
    "Tanh": torch.tanh,
}


def _function(name: str, function: Callable[[Tensor], Tensor]) -> Operator:
    return _activation(name, lambda _call, x: function(x))


ROWS = (
    *(_function(name, function) for name, function in _FUNCTIONS.items()),
    _activation("Gelu", _gelu),
    _activation("Selu", _selu),
    _activation("Celu", lambda call, x: F.celu(x, call.number("alpha", 1.0))),
    _activation("ThresholdedRelu", _thresholded),
    _activation("LeakyRelu", _leaky_relu),
    _activation("Elu", _elu),
    _activation("HardSigmoid", _hard_sigmoid),
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
