"""Caps on a submitted graph, all checked before anything is allocated for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How large a graph may be.

    Attributes:
        bytes: Size of the serialized model; the default is protobuf's own limit.
        fields: Protobuf fields in the encoding; bounds what parsing allocates.
        packed_bytes: Bytes of packed integers in the encoding, which grow eightfold when parsed.
        nodes: Nodes of the graph.
        initializers: Initializers of the graph.
        tensor_rank: Dimensions of one initializer, input or output.
        tensor_elements: Elements that one initializer may declare.
        value_elements: Elements of one input, output or inner value per sample.
        tensor_bytes: Bytes that one initializer may declare; also the cap on their sum.
        nesting: Depth of messages within messages in the protobuf encoding. A graph without
            subgraphs needs about eight.
        name_length: Characters of one name.
    """

    bytes: int = 2**31 - 1
    fields: int = 2_000_000
    packed_bytes: int = 2**26
    nodes: int = 20_000
    initializers: int = 100_000
    tensor_rank: int = 16
    tensor_elements: int = 2**29
    value_elements: int = 2**26
    tensor_bytes: int = 2**31 - 1
    nesting: int = 32
    name_length: int = 1024


DEFAULT_LIMITS = Limits()
