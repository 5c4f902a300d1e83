import numpy as np
import onnx
import onnx_ir as ir
from hypothesis import given, settings

from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from tests.helpers.random_graphs import DrawnGraph, classifiers, in_dtype


@settings(max_examples=40, deadline=None, derandomize=True)
@given(classifiers())
def test_a_normal_form_written_at_a_low_opset_equals_the_original(graph: DrawnGraph) -> None:
    original = in_dtype(graph.proto, np.float32).SerializeToString()
    model = normalise(load_model(original))
    data = to_bytes(model)
    for batch in (1, 4):
        inputs = graph.inputs(batch, np.float32, seed=batch)
        wanted = run_onnx(original, inputs)
        working = run_onnx(ir.serde.serialize_model(model).SerializeToString(), inputs)
        written = run_onnx(data, inputs)
        for name, array in wanted.items():
            assert compare(working[name], array, atol=1e-6, rtol=1e-5).passed
            assert compare(written[name], array, atol=1e-6, rtol=1e-5).passed
    assert onnx.load_from_string(data).opset_import[0].version in (17, 18)
