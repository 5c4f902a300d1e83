import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from onnxgraph.errors import GraphError
from onnxgraph.limits import Limits
from onnxgraph.load import load_model
from tests.helpers.graph_texts import CONVOLUTION, DENSE, parse

LIMITS = Limits(bytes=2**20, tensor_elements=2**16, tensor_bytes=2**18, fields=10_000)
SEEDS = tuple(parse(text).SerializeToString() for text in (DENSE, CONVOLUTION))
PATIENT = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


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
