import tracemalloc

import pytest
from onnx import TensorProto, helper

from onnxgraph.errors import GraphReason
from onnxgraph.limits import Limits
from tests.helpers.graph_texts import DENSE, parse
from tests.helpers.refusals import refusal

R = GraphReason


def test_a_declared_tensor_of_five_gigabytes_allocates_nothing() -> None:
    model = parse(DENSE)
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1250, 1_000_000])
    data = model.SerializeToString()
    tracemalloc.start()
    error = refusal(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (error.reason, error.node) == (R.GRAPH_TOO_LARGE, "w0")
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(bytes=100), "Bytes of the model"),
        (Limits(fields=20), "Protobuf fields"),
        (Limits(nodes=3), "Nodes"),
        (Limits(initializers=3), "Initializers"),
        (Limits(tensor_elements=10), "Elements of tensor"),
        (Limits(value_elements=3), "Elements of 'x'"),
        (Limits(tensor_bytes=100), "Declared bytes"),
        (Limits(tensor_rank=1), "Rank of"),
        (Limits(nesting=3), "Nesting"),
        (Limits(name_length=3), "Characters of a name"),
    ],
)
def test_each_cap_is_reported_with_size_and_limit(limits: Limits, what: str) -> None:
    error = refusal(parse(DENSE), limits)
    assert error.reason == R.GRAPH_TOO_LARGE
    assert error.message.startswith(what)
    assert int(error.metadata["size"]) > int(error.metadata["limit"])


def test_packed_integers_are_capped_before_they_are_parsed() -> None:
    model = parse(DENSE)
    model.graph.initializer.append(
        helper.make_tensor("shape", TensorProto.INT64, [4], [1, 2, 3, 4])
    )
    error = refusal(model, Limits(packed_bytes=3))
    assert error.reason == R.GRAPH_TOO_LARGE


def test_a_million_empty_nodes_are_refused_before_they_are_parsed() -> None:
    node = b"\x0a\x00"
    graph = node * 1_000_000
    length = bytearray()
    size = len(graph)
    while size > 127:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    data = parse(DENSE).SerializeToString() + b"\x3a" + bytes(length) + graph
    tracemalloc.start()
    error = refusal(data, Limits(fields=100_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.reason == R.GRAPH_TOO_LARGE
    assert peak < 100_000_000


def test_deep_nesting_is_refused() -> None:
    inner = b""
    for _ in range(60):
        # GraphProto.node (1) . NodeProto.attribute (5) . AttributeProto.g (6)
        for tag in (0x32, 0x2A, 0x0A):
            length = len(inner)
            head = bytes([tag]) + (
                bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
            )
            inner = head + inner
    length = len(inner)
    data = b"\x08\x08\x3a" + bytes([length & 0x7F | 0x80, length >> 7]) + inner
    assert refusal(data).reason == R.GRAPH_TOO_LARGE
