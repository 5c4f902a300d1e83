"""Exact fusion of a repair into a Conv, Gemm or MatMul."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxgraph.groups import Consumer
from onnxgraph.linear import linear_parts, weight_matrix
from onnxgraph.operators.units import Indices
from onnxgraph.parameters import set_bias, set_parameter
from onnxgraph.surgery.places import consumer_places
from onnxgraph.surgery.types import Repair


def fuse(
    model: ir.Model, node: ir.Node, consumer: Consumer, kept: Indices, repair: Repair | None
) -> None:
    """Shrinks a consumer's weight in place: W′[…, s] = Σ_j W[…, j] · R[j, s] at every position.

    Computed in float64, one position of a block at a time; an offset goes into the bias, which
    must have one place per output (b′ = b + W · r₀).
    """
    call, facet, weight = linear_parts(model, node)
    axis = facet.input_axis(call)
    old = np.moveaxis(weight, axis, 0)
    places, targets = consumer_places(consumer, kept, old.shape[0])
    new = old[places].copy()
    if repair is not None:
        mixing = np.asarray(repair.matrix, dtype=np.float64).T
        for position in range(consumer.block):
            sources = old[consumer.positions[:, position]].astype(np.float64)
            new[targets[:, position]] = np.tensordot(mixing, sources, axes=1)
        if repair.offset is not None:
            _shift_bias(model, node, consumer, repair.offset)
    set_parameter(model, node, 1, np.moveaxis(new, 0, axis))


def _shift_bias(
    model: ir.Model, node: ir.Node, consumer: Consumer, offset: np.ndarray[tuple[int, ...]]
) -> None:
    matrix, bias = weight_matrix(model, consumer.node)
    assert bias is not None
    places = consumer.positions
    width = matrix.shape[1]
    by_input = matrix.reshape(_inputs(model, node), -1, width).sum(axis=1, dtype=np.float64)
    shift = np.asarray(offset, dtype=np.float64) @ by_input[places].sum(axis=1)
    set_bias(model, node, bias.astype(np.float64) + shift)


def _inputs(model: ir.Model, node: ir.Node) -> int:
    call, facet, weight = linear_parts(model, node)
    return int(weight.shape[facet.input_axis(call)])
