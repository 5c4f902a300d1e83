"""Exact fusion of a repair into a Conv, Gemm, MatMul or recurrent node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.groups import Consumer, Recurrence
from onnxgraph.linear import linear_parts, put_bias, weight_matrix, weights_by_place
from onnxgraph.lookup import constant_of
from onnxgraph.operators.recurrence import RECURRENT_AXIS, RECURRENT_WEIGHT
from onnxgraph.operators.units import Indices
from onnxgraph.parameters import set_parameter
from onnxgraph.surgery.types import Repair


def fuse(model: ir.Model, node: ir.Node, consumer: Consumer, kept: Indices, repair: Repair) -> None:
    """Folds a repair into a consumer's weight, in place and still at full width.

    W′[…, s] = Σ_j W[…, j] · R[j, s] for each kept unit s, at every position of its block; the
    places of dropped units are left to be dropped. Computed in float64, one position at a time. An
    offset goes into the bias, which must have one place per output (b′ = b + W · r₀).
    """
    call, facet, weight = linear_parts(model, node)
    if repair.offset is not None:
        _shift_bias(model, node, consumer, repair.offset)
    mixed = _mixed(weight, facet.input_axis(call), consumer.positions, kept, repair)
    set_parameter(model, node, 1, mixed)


def fuse_recurrence(
    model: ir.Model, node: ir.Node, recurrence: Recurrence, kept: Indices, repair: Repair
) -> None:
    """Folds a repair into a recurrent matrix, as `fuse` does: R′ = R · repair over the states."""
    weight = constant_of(node.inputs[RECURRENT_WEIGHT])
    assert weight is not None
    mixed = _mixed(weight.numpy(), RECURRENT_AXIS, recurrence.positions, kept, repair)
    set_parameter(model, node, RECURRENT_WEIGHT, mixed)


def _mixed(
    weight: NDArray[np.floating], axis: int, positions: Indices, kept: Indices, repair: Repair
) -> NDArray[np.floating]:
    old = np.moveaxis(weight, axis, 0)
    new = old.copy()
    mixing = np.asarray(repair.matrix, dtype=np.float64).T
    for places in positions.T:
        new[places[kept]] = np.tensordot(mixing, old[places].astype(np.float64), axes=1)
    return np.moveaxis(new, 0, axis)


def _shift_bias(model: ir.Model, node: ir.Node, consumer: Consumer, offset: NDArray[Any]) -> None:
    _, bias = weight_matrix(model, consumer.node)
    assert bias is not None
    by_place = weights_by_place(model, consumer.node)
    shifted = bias.astype(np.float64)
    for places in consumer.positions.T:
        shifted = shifted + offset @ by_place[places].sum(axis=1, dtype=np.float64)
    put_bias(model, node, shifted)
