"""Branches of random graphs compute the same numbers in every layout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxgraph.merge import Branch, merge
from onnxgraph.normalise import normalise
from onnxgraph.passes.lay_out_siblings import LayOutSiblings, uniform
from onnxgraph.serialise import to_bytes
from onnxgraph.siblings.find import Layout
from tests.helpers.exactness import assert_equal_in_float32
from tests.helpers.graph_builder import DrawnGraph
from tests.helpers.random_graphs import classifiers

_PACE = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
BRANCHES = 3


def _merged(graph: DrawnGraph) -> ir.Model:
    """Several branches of one structure, side by side."""
    model = normalise(graph.model(np.float32))
    output = str(model.graph.outputs[0].name)
    branches = [
        Branch(_with_other_weights(model, seed), f"branch{seed}.", (output,))
        for seed in range(BRANCHES)
    ]

    def tail(tape: ir.tape.Tape, ends: Sequence[Sequence[ir.Value]]) -> Sequence[ir.Value]:
        whole = tape.op("Concat", [value for branch in ends for value in branch], {"axis": 1})
        whole.name = "scores"
        whole.type = ir.TensorType(ir.DataType.FLOAT)
        return [whole]

    return merge(branches, tail)


def _with_other_weights(model: ir.Model, seed: int) -> ir.Model:
    random = np.random.default_rng(seed)
    proto = ir.serde.serialize_model(model)
    for tensor in proto.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.ndim > 1:
            other = (array * random.uniform(0.5, 1.5, array.shape)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(other, tensor.name))
    return ir.serde.deserialize_model(proto)


def _both(graph: DrawnGraph, layout: Layout) -> tuple[ir.Model, ir.Model]:
    """The branches as merged, and in a layout."""
    merged = _merged(graph)
    laid_out = merged.clone()
    LayOutSiblings(uniform(layout))(laid_out)
    assert to_bytes(laid_out)
    return merged, laid_out


@pytest.mark.parametrize("layout", [Layout.STACKED, Layout.GROUPED, Layout.BLOCK_DIAGONAL])
@_PACE
@given(graph=classifiers())
def test_any_branches_compute_the_same_in_any_layout(graph: DrawnGraph, layout: Layout) -> None:
    merged, laid_out = _both(graph, layout)
    assert_equal_in_float32(laid_out, merged, graph.inputs(3, np.float32))


@pytest.mark.parametrize("layout", [Layout.STACKED, Layout.GROUPED, Layout.BLOCK_DIAGONAL])
@_PACE
@given(graph=classifiers())
def test_any_layout_is_exact_in_float64(graph: DrawnGraph, layout: Layout) -> None:
    inputs = graph.inputs(2, np.float64)
    (expected,), (found,) = (
        ReferenceEvaluator(_in_float64(model)).run(None, inputs) for model in _both(graph, layout)
    )
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-9, atol=1e-9)


def _in_float64(model: ir.Model) -> onnx.ModelProto:
    proto = onnx.load_from_string(to_bytes(model))
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            wide = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    for value in [*proto.graph.input, *proto.graph.output]:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    return proto
