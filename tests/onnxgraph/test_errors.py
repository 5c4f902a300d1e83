from sliceandpack.error.v1.error_reason_pb2 import ErrorReason

from onnxgraph.errors import GraphError, GraphReason


def test_every_reason_of_a_graph_is_a_reason_of_the_contract() -> None:
    contract = {value.name for value in ErrorReason.DESCRIPTOR.values}
    names = {f"ERROR_REASON_{reason}" for reason in GraphReason}
    assert names <= contract
    assert {name for name in contract if name.startswith("ERROR_REASON_GRAPH")} <= names


def test_an_error_says_what_is_wrong_and_what_to_do() -> None:
    error = GraphError(
        GraphReason.GRAPH_CYCLE, "A cycle.", advice="Export again.", node="a", metadata={"k": "v"}
    )
    assert str(error) == "GRAPH_CYCLE: A cycle. Export again."
    assert error.metadata == {"node": "a", "k": "v"}
