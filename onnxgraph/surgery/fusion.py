"""Exact fusion of a repair into a Conv, Gemm or MatMul."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.groups import Consumer
from onnxgraph.linear import linear_parts, weight_matrix, weights_by_place
from onnxgraph.operators.units import Indices
from onnxgraph.parameters import set_bias, set_parameter
from onnxgraph.surgery.types import Repair


def fuse(model: ir.Model, node: ir.Node, consumer: Consumer, kept: Indices, repair: Repair) -> None:
    """Folds a repair into a consumer's weight, in place and still at full width.

    W′[…, s] = Σ_j W[…, j] · R[j, s] for each kept unit s, at every position of its block; the
    places of dropped units are left to be dropped. Computed in float64, one position at a time. An
    offset goes into the bias, which must have one place per output (b′ = b + W · r₀).
    """
    call, facet, weight = linear_parts(model, node)
    axis = facet.input_axis(call)
    old = np.moveaxis(weight, axis, 0)
    if repair.offset is not None:
        _shift_bias(model, node, consumer, repair.offset)
    new = old.copy()
    mixing = np.asarray(repair.matrix, dtype=np.float64).T
    for places in consumer.positions.T:
        new[places[kept]] = np.tensordot(mixing, old[places].astype(np.float64), axes=1)
    set_parameter(model, node, 1, np.moveaxis(new, 0, axis))


def _shift_bias(model: ir.Model, node: ir.Node, consumer: Consumer, offset: NDArray[Any]) -> None:
    _, bias = weight_matrix(model, consumer.node)
    assert bias is not None
    by_place = weights_by_place(model, consumer.node)
    shifted = bias.astype(np.float64)
    for places in consumer.positions.T:
        shifted = shifted + offset @ by_place[places].sum(axis=1, dtype=np.float64)
    set_bias(model, node, shifted)
