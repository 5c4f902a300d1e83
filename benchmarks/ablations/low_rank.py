"""Low-rank kernels: k×k of r filters, then 1×1, fitted to what the convolution makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from onnxgraph.linear import weight_matrix
from onnxgraph.lookup import constant_of
from onnxgraph.parameters import add_initializer
from onnxgraph.view import TorchView
from slicer_svc.slicing.walk import Minibatch

Floats = NDArray[np.float64]


def factorised(model: ir.Model, batches: Sequence[Minibatch], share: float) -> ir.Model:
    """Every k×k convolution as one of r filters and a 1×1 behind it, of `share` of its MACs.

    Of all kernels of rank r the one that leaves least of the outputs' weighted variance: the
    truncated singular value decomposition of W in the metric of its input's Gram matrix, which is
    W·Q·Qᵀ with Q the first r principal directions of what W makes of the input. The bias takes the
    means of the directions that are left out.

    Args:
        model: A fragment or a sliced model.
        batches: Weighted views.
        share: In (0, 1].

    Returns:
        A model; convolutions of which no rank is left are as before.
    """
    copy = model.clone()
    found = {str(node.name): node for node in copy.graph if _is_dense_kernel(node)}
    ranks = {name: _rank(node, share) for name, node in found.items()}
    chosen = {name: rank for name, rank in ranks.items() if rank >= 1}
    moments = _output_moments(copy, batches, [found[name] for name in chosen])
    for name, rank in chosen.items():
        _factorise(copy, found[name], rank, moments[name])
    return copy


def _is_dense_kernel(node: ir.Node) -> bool:
    tensor = constant_of(node.inputs[1]) if node.op_type == "Conv" else None
    return (
        tensor is not None
        and node.attributes.get_int("group", 1) == 1
        and tensor.size > (tensor.shape.numpy()[0] * tensor.shape.numpy()[1])
    )


def _rank(node: ir.Node, share: float) -> int:
    """The rank at which both convolutions together have `share` of the MACs of the one."""
    tensor = constant_of(node.inputs[1])
    assert tensor is not None
    outputs, *rest = tensor.shape.numpy()
    inputs = int(np.prod(rest))
    return int(share * inputs * outputs / (inputs + outputs))


def _output_moments(
    model: ir.Model, batches: Sequence[Minibatch], nodes: Sequence[ir.Node]
) -> Mapping[str, tuple[Floats, Floats]]:
    """By node, the weighted mean `(o,)` and covariance `(o, o)` of its outputs' channels."""
    view = TorchView(model)
    names = [str(node.outputs[0].name) for node in nodes]
    sums: dict[str, torch.Tensor] = {}
    for batch in batches:
        with torch.no_grad():
            values = view.run(batch.inputs, fetch=names)
        for node, name in zip(nodes, names, strict=True):
            rows = values[name].double().flatten(start_dim=2).movedim(1, -1)
            weights = (batch.weights / rows.shape[1]).repeat_interleave(rows.shape[1])
            flat = rows.reshape(-1, rows.shape[-1])
            flat = torch.cat([flat, flat.new_ones(len(flat), 1)], dim=1)
            moment = flat.T @ (flat * weights[:, None])
            sums[str(node.name)] = sums.get(str(node.name), torch.zeros_like(moment)) + moment
    found = {}
    for key, moment in sums.items():
        mean = moment[:-1, -1] / moment[-1, -1]
        covariance = moment[:-1, :-1] / moment[-1, -1] - torch.outer(mean, mean)
        found[key] = (mean.numpy(), covariance.numpy())
    return found


def _factorise(model: ir.Model, node: ir.Node, rank: int, moments: tuple[Floats, Floats]) -> None:
    """Puts two convolutions in the place of one, in place."""
    mean, covariance = moments
    weight, bias = weight_matrix(model, str(node.name))
    kernel = constant_of(node.inputs[1])
    assert kernel is not None
    shape = kernel.shape.numpy()
    directions = np.linalg.eigh(covariance)[1][:, ::-1][:, :rank]
    old = np.zeros(len(mean)) if bias is None else bias.astype(np.float64)
    shift = mean - directions @ (directions.T @ (mean - old))
    first = (weight @ directions).T.reshape(rank, *shape[1:])
    second = directions.reshape(*directions.shape, *[1] * (len(shape) - 2))
    name, data, output = str(node.name), node.inputs[0], node.outputs[0]
    assert data is not None
    values = [
        add_initializer(model, f"{name}_{part}", array.astype(np.float32))
        for part, array in (("narrow", first), ("wide", second), ("wide_bias", shift))
    ]
    narrow = ir.node(
        "Conv", [data, values[0]], attributes=dict(node.attributes), name=f"{name}_narrow"
    )
    wide = ir.node("Conv", [narrow.outputs[0], *values[1:]], name=f"{name}_wide")
    wide.outputs[0].type, wide.outputs[0].shape = output.type, output.shape
    model.graph.insert_before(node, [narrow, wide])
    output.replace_all_uses_with(wide.outputs[0], replace_graph_outputs=True)
    model.graph.remove(node, safe=True)
