import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from onnxgraph.errors import GraphError
from onnxgraph.limits import Limits
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from tests.helpers.graph_texts import CONVOLUTION, DENSE, parse

LIMITS = Limits(
    bytes=2**20, tensor_elements=2**16, tensor_bytes=2**18, value_elements=2**16, fields=10_000
)
SEEDS = tuple(parse(text).SerializeToString() for text in (DENSE, CONVOLUTION))
SLOW = [HealthCheck.too_slow]
PATIENT = settings(max_examples=200, deadline=None, suppress_health_check=SLOW, derandomize=True)


def loads_or_refuses(data: bytes) -> None:
    """Any other exception than `GraphError` fails the test."""
    with contextlib.suppress(GraphError):
        load_model(data, limits=LIMITS)


@PATIENT
@given(st.sampled_from(SEEDS), st.data())
def test_flipped_bits_are_loaded_or_refused(seed: bytes, data: st.DataObject) -> None:
    damaged = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 8))):
        bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
        damaged[bit // 8] ^= 1 << bit % 8
    loads_or_refuses(bytes(damaged))


@PATIENT
@given(st.sampled_from(SEEDS), st.data())
def test_cut_and_moved_bytes_are_loaded_or_refused(seed: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(seed)))
    end = data.draw(st.integers(start, len(seed)))
    place = data.draw(st.integers(0, len(seed)))
    rest = seed[:start] + seed[end:]
    loads_or_refuses(rest)
    loads_or_refuses(rest[:place] + seed[start:end] + rest[place:])


@PATIENT
@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    loads_or_refuses(data)


OPERATORS = ("Conv", "Gemm", "MatMul", "Reshape", "Concat", "Pad", "Slice", "Relu", "Transpose")
ATTRIBUTES = ("axis", "perm", "pads", "kernel_shape", "strides", "group", "transB", "auto_pad")
VALUES = st.one_of(
    st.integers(-(2**62), 2**62),
    st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=5),
    st.sampled_from(["VALID", "SAME_UPPER", "nonsense", ""]),
    st.floats(width=32),
)


@PATIENT
@given(st.data())
def test_well_formed_nodes_that_make_no_sense_are_loaded_or_refused(data: st.DataObject) -> None:
    model = parse(CONVOLUTION)
    names = ["x", "maps", "active", "pooled", "flat", "w0", "b0", "w1", "absent", ""]
    for node in model.graph.node:
        if not data.draw(st.booleans()):
            continue
        node.op_type = data.draw(st.sampled_from(OPERATORS))
        del node.input[:]
        node.input.extend(data.draw(st.lists(st.sampled_from(names), max_size=4)))
        del node.attribute[:]
        for name in data.draw(st.lists(st.sampled_from(ATTRIBUTES), max_size=3)):
            node.attribute.append(helper.make_attribute(name, data.draw(VALUES)))
    loads_or_refuses(model.SerializeToString())


SHAPED = """
g (float[batch, 2, 6, 6] x) => (float[batch, 3] scores)
  <int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}, int64[1] none = {0}, int64[1] width = {4},
   int64[1] hundred = {100}, int64[1] rest = {-1}, int64[1] last = {1},
   float[4, 2, 3, 3] w0, float[100, 3] w1>
{
  padded = Pad (x, pads)
  maps = Conv <strides = [2, 2], pads = [1, 1, 1, 1], dilations = [1, 1], group = 1> (padded, w0)
  pooled = AveragePool <kernel_shape = [3, 3], strides = [1, 1], pads = [1, 1, 1, 1]> (maps)
  turned = Transpose <perm = [0, 2, 3, 1]> (pooled)
  shape = Shape (turned)
  front = Slice (shape, none, last)
  room = ConstantOfShape (width)
  target = Concat <axis = 0> (front, rest)
  flat = Reshape (turned, target)
  wide = Concat <axis = 1> (flat, flat)
  cut = Slice (wide, none, hundred, last)
  scores = MatMul (cut, w1)
}
"""
NUMBERS = st.sampled_from(
    [0, 1, -1, 2, 3, 7, -2, 100_000, 2**31 - 1, 2**31, 2**40, 2**63 - 1, -(2**63)]
)


@settings(max_examples=80, deadline=None, suppress_health_check=SLOW, derandomize=True)
@given(st.data())
def test_wild_sizes_are_normalised_or_refused(data: st.DataObject) -> None:
    model = parse(SHAPED)
    lists = [a.ints for node in model.graph.node for a in node.attribute if a.ints]
    constants = [
        tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT64
    ]
    for _ in range(data.draw(st.integers(1, 2))):
        if data.draw(st.booleans()):
            numbers = data.draw(st.sampled_from(lists))
            numbers[data.draw(st.integers(0, len(numbers) - 1))] = data.draw(NUMBERS)
        else:
            tensor = data.draw(st.sampled_from(constants))
            array = numpy_helper.to_array(tensor).copy()
            array[data.draw(st.integers(0, array.size - 1))] = data.draw(NUMBERS)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    with contextlib.suppress(GraphError):
        normalise(load_model(model.SerializeToString(), limits=LIMITS), limits=LIMITS)


def test_the_graph_with_wild_sizes_is_sound_when_tame() -> None:
    normalise(load_model(parse(SHAPED).SerializeToString(), limits=LIMITS), limits=LIMITS)
