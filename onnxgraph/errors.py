"""What is wrong with a graph: one exception, with a stable reason and advice."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class GraphReason(StrEnum):
    """Why a graph is refused. Stable names: clients branch on them."""

    GRAPH_NOT_ONNX = "GRAPH_NOT_ONNX"
    """The bytes are no ONNX model: not protobuf, truncated, or without a graph."""
    GRAPH_TOO_LARGE = "GRAPH_TOO_LARGE"
    """A cap on bytes, nodes, tensors, dimensions or nesting is exceeded."""
    GRAPH_OPSET_UNSUPPORTED = "GRAPH_OPSET_UNSUPPORTED"
    """The operator set or IR version is outside the supported range, or not stated."""
    GRAPH_OPERATOR_UNSUPPORTED = "GRAPH_OPERATOR_UNSUPPORTED"
    """A node's operator or domain is not in the operator table (control flow, functions)."""
    GRAPH_TYPE_UNSUPPORTED = "GRAPH_TYPE_UNSUPPORTED"
    """A type is not supported: inputs of half or double precision, strings, sparse tensors."""
    GRAPH_EXTERNAL_DATA = "GRAPH_EXTERNAL_DATA"
    """A tensor keeps its data in another file."""
    GRAPH_INVALID = "GRAPH_INVALID"
    """The graph breaks the ONNX specification."""
    GRAPH_CYCLE = "GRAPH_CYCLE"
    """The graph is not acyclic."""
    GRAPH_VALUE_MISSING = "GRAPH_VALUE_MISSING"
    """A node reads, or the graph returns, a value that nothing provides."""
    GRAPH_NOT_FINITE = "GRAPH_NOT_FINITE"
    """A weight is NaN or infinite."""
    GRAPH_TRAINING_MODE = "GRAPH_TRAINING_MODE"
    """The model was exported in training mode."""
    GRAPH_BATCH_FIXED = "GRAPH_BATCH_FIXED"
    """The graph works at one batch size only and could not be repaired."""
    GRAPH_BATCH_MIXED = "GRAPH_BATCH_MIXED"
    """The output of one sample depends on the other samples of its batch."""
    GRAPH_SHAPE_DYNAMIC = "GRAPH_SHAPE_DYNAMIC"
    """A shape other than the batch size depends on the data."""
    GRAPH_NOT_EXECUTABLE = "GRAPH_NOT_EXECUTABLE"
    """ONNX Runtime cannot load or run the graph."""
    GRAPH_NO_LINEAR_CLASSIFIER = "GRAPH_NO_LINEAR_CLASSIFIER"
    """No linear node (Gemm, MatMul or 1×1 Conv) computes the class scores."""
    GRAPH_NO_SLICEABLE_UNIT = "GRAPH_NO_SLICEABLE_UNIT"
    """No unit of the graph can be dropped."""
    GRAPHS_INCOMPATIBLE = "GRAPHS_INCOMPATIBLE"
    """Graphs to be merged disagree on an input that they share."""


class GraphError(Exception):
    """A graph cannot be used.

    Attributes:
        reason: The stable reason.
        message: What is wrong, naming the node or tensor.
        advice: One sentence on what to do about it.
        node: The name of the node or tensor at fault, if there is one.
        metadata: Facts as text: `node` if there is one, and others (such as `operator`, `limit`).
    """

    def __init__(
        self,
        reason: GraphReason,
        message: str,
        *,
        advice: str,
        node: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message} {advice}")
        self.reason = reason
        self.message = message
        self.advice = advice
        self.node = node
        self.metadata: Mapping[str, str] = MappingProxyType(
            {**({"node": node} if node else {}), **(metadata or {})}
        )
