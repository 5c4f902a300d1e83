import numpy as np
import pytest
from onnx import ModelProto, helper, numpy_helper

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.limits import Limits
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import compare, run_onnx
from onnxgraph.serialise import to_bytes
from tests.helpers.graph_texts import DENSE, parse, with_arrays

R = GraphReason
HEAD = "w = Constant <value = float[4, 3] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}> ()"


def refusal(model: ModelProto, limits: Limits | None = None) -> GraphError:
    with pytest.raises(GraphError) as caught:
        normalise(load_model(model.SerializeToString()), limits=limits or Limits())
    assert caught.value.advice.endswith(".")
    return caught.value


def test_a_size_taken_from_the_data_is_refused_and_named() -> None:
    error = refusal(
        parse(
            """
            g (float[batch, 4] x) => (float[batch, k] y) <int64[1] all = {-1}> {
              mean = ReduceMean <keepdims = 0> (x)
              size = Cast <to = 7> (mean)
              rest = Unsqueeze (size, all)
              target = Concat <axis = 0> (all, rest)
              y = Reshape (x, target)
            }
            """
        )
    )
    assert (error.reason, error.node) == (R.GRAPH_SHAPE_DYNAMIC, "y")


def test_a_second_symbolic_axis_is_refused() -> None:
    error = refusal(parse("g (float[batch, time] x) => (float[batch, time] y) { y = Relu (x) }"))
    assert (error.reason, error.node) == (R.GRAPH_SHAPE_DYNAMIC, "x")


def test_an_operator_supported_for_shapes_only_is_refused_on_data() -> None:
    error = refusal(
        parse(
            """
            g (float[batch, 4] x) => (float[batch, 4] y)
            { size = Size (x) number = Cast <to = 1> (size) y = Add (x, number) }
            """
        )
    )
    assert (error.reason, error.node) == (R.GRAPH_OPERATOR_UNSUPPORTED, "size")
    assert error.metadata["operator"] == "Size"


def test_samples_that_depend_on_each_other_are_refused() -> None:
    error = refusal(
        parse("g (float[batch, 4] x) => (float[batch, 4] y) { y = Softmax <axis = 0> (x) }")
    )
    assert error.reason == R.GRAPH_BATCH_MIXED


def test_an_output_without_a_batch_is_refused() -> None:
    error = refusal(
        parse(
            """
            g (float[batch, 4] x) => (float[1, 4] y) <int64[1] axis = {0}>
            { y = ReduceMean (x, axis) }
            """
        )
    )
    assert error.reason == R.GRAPH_BATCH_FIXED


def test_a_dropout_in_training_mode_is_refused() -> None:
    error = refusal(
        parse(
            """
            g (float[batch, 4] x) => (float[batch, 4] y) <float ratio = {0.5}, bool train = {1}>
            { y = Dropout (x, ratio, train) }
            """
        )
    )
    assert (error.reason, error.node) == (R.GRAPH_TRAINING_MODE, "y")


def test_a_baked_batch_beyond_reshapes_is_refused_with_advice() -> None:
    error = refusal(
        parse("g (float[2, 4] x) => (float[2, 4] y) <float[2, 4] noise> { y = Add (x, noise) }")
    )
    assert error.reason == R.GRAPH_BATCH_FIXED
    assert "dynamic_axes" in error.advice


def test_a_target_that_mixes_batch_and_positions_is_refused_not_guessed() -> None:
    # At batch 2 the target [4, 2] means (positions, batch): its first axis is no batch axis.
    error = refusal(
        parse(
            """
            g (float[2, 4] x) => (float[4, 2] y) <int64[2] target = {4, 2}>
            {
              turned = Transpose <perm = [1, 0]> (x)
              y = Reshape (turned, target)
            }
            """
        )
    )
    assert error.reason == R.GRAPH_BATCH_FIXED


def test_a_batch_written_into_a_target_despite_a_symbolic_input_is_freed() -> None:
    model = parse(
        f"""
        g (float[batch, 2, 2] x) => (float[batch, 3] y) <int64[2] target = {{3, 4}}>
        {{ {HEAD}
           flat = Reshape (x, target)
           y = MatMul (flat, w) }}
        """
    )
    x = np.random.default_rng(0).standard_normal((3, 2, 2)).astype(np.float32)
    wanted = run_onnx(model.SerializeToString(), {"x": x})["y"]
    data = to_bytes(normalise(load_model(model.SerializeToString())))
    assert compare(run_onnx(data, {"x": x})["y"], wanted, atol=0, rtol=1e-6).passed
    assert compare(run_onnx(data, {"x": x[:1]})["y"], wanted[:1], atol=0, rtol=1e-6).passed


def test_inputs_with_different_fixed_batches_are_refused() -> None:
    error = refusal(parse("g (float[1, 4] a, float[2, 4] b) => (float[2, 4] y) { y = Add (a, b) }"))
    assert error.reason == R.GRAPH_BATCH_FIXED


def test_an_activation_of_terabytes_is_refused_before_it_runs() -> None:
    error = refusal(
        parse(
            """
            g (float[batch, 1, 4, 4] x) => (float[batch, 1, h, w] y)
              <int64[8] pads = {0, 0, 1000000, 1000000, 0, 0, 1000000, 1000000}>
            { y = Pad (x, pads) }
            """
        )
    )
    assert (error.reason, error.node) == (R.GRAPH_TOO_LARGE, "y")


def test_a_constant_of_terabytes_is_refused_before_it_is_made() -> None:
    error = refusal(
        parse(
            """
            g (float[batch, 4] x) => (float[batch, 4] y) <int64[4] size = {1048576, 1048576, 1, 4}>
            {
              zeros = ConstantOfShape (size)
              y = Add (x, zeros)
            }
            """
        )
    )
    assert (error.reason, error.node) == (R.GRAPH_TOO_LARGE, "zeros")


def test_shapes_that_do_not_fit_are_invalid() -> None:
    model = with_arrays(parse(DENSE), {"w1": np.ones((3, 7), np.float32)})
    assert refusal(model).reason == R.GRAPH_INVALID


def test_a_graph_that_only_its_run_refutes_is_not_executable() -> None:
    # Valid by the specification, but ONNX Runtime pads by no more than an axis has when reflecting.
    model = parse(
        """
        g (float[batch, 1, 4] x) => (float[batch, 1, 24] y) <int64[6] pads = {0, 0, 10, 0, 0, 10}>
        { y = Pad <mode = "reflect"> (x, pads) }
        """
    )
    assert refusal(model).reason == R.GRAPH_NOT_EXECUTABLE


def test_metadata_and_traces_of_the_exporting_machine_are_cleared() -> None:
    model = parse(DENSE)
    model.doc_string = model.graph.doc_string = "exported on my laptop"
    model.producer_name = "somebody"
    model.graph.node[0].doc_string = "/home/somebody/train.py:3"
    helper.set_model_props(model, {"author": "somebody"})
    entry = model.graph.node[1].metadata_props.add()
    entry.key, entry.value = "stack_trace", "/home/somebody/train.py:3"
    data = to_bytes(normalise(load_model(model.SerializeToString())))
    assert b"somebody" not in data
    assert b"laptop" not in data


def test_several_inputs_of_several_types_are_kept() -> None:
    model = parse(
        """
        g (float[batch, 4] x, int64[batch, 4] k) => (float[batch, 4] y) {
          f = Cast <to = 1> (k)
          y = Add (x, f)
        }
        """
    )
    normal = normalise(load_model(model.SerializeToString()))
    assert [str(value.name) for value in normal.graph.inputs] == ["x", "k"]


def test_weights_that_are_also_inputs_become_weights_alone() -> None:
    # IR version 3 demands that every initializer is an input too.
    model = parse(DENSE, opset=9, ir_version=3)
    model.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in model.graph.initializer
    )
    normal = normalise(load_model(model.SerializeToString()))
    assert [value.name for value in normal.graph.inputs] == ["x"]
    assert set(normal.graph.initializers) == {"w0", "b0", "w1", "b1"}


def test_large_weights_survive_a_change_of_opset() -> None:
    generator = np.random.default_rng(0)
    wide = generator.standard_normal((4, 6000)).astype(np.float32)
    model = with_arrays(
        parse(DENSE.replace("6", "6000"), opset=11, ir_version=6),
        {"w0": wide, "w1": generator.standard_normal((3, 6000)).astype(np.float32)},
    )
    normal = normalise(load_model(model.SerializeToString()))
    tensor = normal.graph.initializers["w0"].const_value
    assert tensor is not None
    np.testing.assert_array_equal(tensor.numpy(), wide)


def test_an_unused_weight_is_dropped() -> None:
    model = parse(DENSE)
    model.graph.initializer.append(numpy_helper.from_array(np.ones(9, np.float32), "spare"))
    assert "spare" not in normalise(load_model(model.SerializeToString())).graph.initializers


def test_a_size_computed_from_constants_is_never_built() -> None:
    error = refusal(
        parse(
            """
            g (float[batch, 4] x) => (float[batch, 4] y)
              <int64[4] half = {524288, 524288, 1, 2}, int64[1] twice = {2}>
            {
              size = Mul (half, twice)
              zeros = ConstantOfShape (size)
              y = Add (x, zeros)
            }
            """
        )
    )
    assert (error.reason, error.node) == (R.GRAPH_TOO_LARGE, "zeros")


@pytest.mark.parametrize("number", [2**31 - 1, 2**63 - 1, -(2**63)])
def test_integers_that_overflow_native_code_are_refused_and_named(number: int) -> None:
    error = refusal(
        parse(
            f"""
            g (float[batch, 4] x) => (float[batch, 4] y) <int64[1] target = {{{number}}}>
            {{ y = Reshape (x, target) }}
            """
        )
    )
    assert (error.reason, error.node) == (R.GRAPH_TOO_LARGE, "target")
    error = refusal(
        parse(
            f"""
            g (float[batch, 1, 4, 4] x) => (float[batch, 1, 4, 4] y)
            {{ y = MaxPool <kernel_shape = [1, 1], strides = [1, {number}]> (x) }}
            """
        )
    )
    assert (error.reason, error.node) == (R.GRAPH_TOO_LARGE, "y")


def test_a_slice_to_the_end_may_say_so_by_the_largest_integer() -> None:
    model = parse(
        """
        g (float[batch, 4] x) => (float[batch, 2] y) <int64[1] start = {2},
          int64[1] stop = {9223372036854775807}, int64[1] axis = {1}>
        { y = Slice (x, start, stop, axis) }
        """
    )
    normal = normalise(load_model(model.SerializeToString()))
    assert [node.op_type for node in normal.graph] == ["Slice"]


def test_transposes_that_do_not_fit_each_other_are_refused() -> None:
    error = refusal(
        parse(
            """
            g (float[batch, 4, 4] x) => (float[batch, 4, 4] y) {
              turned = Transpose <perm = [0, 2, 1]> (x)
              y = Transpose <perm = [1, 0]> (turned)
            }
            """
        )
    )
    assert error.reason == R.GRAPH_NOT_EXECUTABLE


def test_weights_that_contradict_the_recorded_outputs_are_invalid() -> None:
    model = with_arrays(parse(DENSE, opset=13), {"w0": np.ones((5, 6), np.float32)})
    assert refusal(model).reason == R.GRAPH_INVALID


def test_an_unsupported_target_of_cast_is_refused_and_named() -> None:
    error = refusal(
        parse("g (float[batch, 4] x) => (string[batch, 4] y) { y = Cast <to = 8> (x) }")
    )
    assert (error.reason, error.node) == (R.GRAPH_TYPE_UNSUPPORTED, "y")
    assert error.metadata["type"] == "STRING"


def test_an_output_of_double_precision_is_refused_and_named() -> None:
    error = refusal(
        parse("g (float[batch, 4] x) => (double[batch, 4] z) { z = Cast <to = 11> (x) }")
    )
    assert (error.reason, error.node) == (R.GRAPH_TYPE_UNSUPPORTED, "z")
    assert error.metadata["type"] == "DOUBLE"


def test_a_normaliser_with_negative_variance_is_refused() -> None:
    text = """
        g (float[batch, 3] x) => (float[batch, 5] y)
          <float[3, 5] w, float[5] scale, float[5] shift, float[5] mean, float[5] variance>
        { t = MatMul (x, w) y = BatchNormalization (t, scale, shift, mean, variance) }
    """
    model = with_arrays(parse(text), {"variance": np.full(5, -1, np.float32)})
    error = refusal(model)
    assert error.reason == R.GRAPH_INVALID
    assert "finite" in error.advice
