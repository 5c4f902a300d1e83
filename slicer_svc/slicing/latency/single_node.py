"""Single nodes of cut graphs as jobs for the runtime: their shapes, not their numbers, matter."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.lookup import constant_of

SMALL = 64
"""Constants of at most so many elements may steer a node (sizes, axes): they are kept as is."""

_FILL = 0.01
"""What all larger floating tensors hold; time does not depend on it."""


@dataclass(frozen=True)
class Tensor:
    """One input of a node.

    Attributes:
        shape: Its sizes.
        dtype: Its ONNX data type.
        constant: Whether it is an initializer.
        data: Its bytes where they matter, else None.
    """

    shape: tuple[int, ...]
    dtype: int
    constant: bool
    data: bytes | None

    def values(self) -> NDArray[np.generic]:
        """An array to feed or to keep."""
        kind = onnx.helper.tensor_dtype_to_np_dtype(self.dtype)
        if self.data is not None:
            return np.frombuffer(self.data, dtype=kind).reshape(self.shape)
        fill = _FILL if np.issubdtype(kind, np.floating) else 0
        return np.full(self.shape, fill, dtype=kind)


@dataclass(frozen=True)
class SingleNode:
    """A node with all that its time depends on.

    Attributes:
        node: The serialised node, its name and values numbered.
        inputs: Its inputs; None where one is left out.
        outputs: The data types of its outputs.
    """

    node: bytes
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[int, ...]


def single_node(node: ir.Node, sizes: Mapping[str, int]) -> SingleNode:
    """Takes a node out of a graph whose shapes are known.

    Args:
        node: The node.
        sizes: Sizes of open dimensions by name; others count as 1.
    """
    inputs = tuple(None if value is None else _tensor(value, sizes) for value in node.inputs)
    proto = ir.serde.serialize_node(node)
    proto.name = ""
    proto.ClearField("metadata_props")
    proto.ClearField("doc_string")
    for place, value in enumerate(node.inputs):
        proto.input[place] = "" if value is None else f"x{place}"
    for place in range(len(node.outputs)):
        proto.output[place] = f"y{place}"
    outputs = tuple(int(value.dtype or ir.DataType.FLOAT) for value in node.outputs)
    return SingleNode(proto.SerializeToString(deterministic=True), inputs, outputs)


def added(graph: onnx.GraphProto, single: SingleNode, name: str) -> dict[str, NDArray[np.generic]]:
    """Adds a single node to a graph under a name of its own; returns what it is to be fed.

    Its outputs are called "{name}:0", "{name}:1", …: the runtime names what it makes of a node
    after one of them or after the node.
    """
    node = onnx.NodeProto.FromString(single.node)
    node.name = f"{name}:node"
    feeds = {}
    for place, tensor in enumerate(single.inputs):
        if tensor is None:
            continue
        node.input[place] = f"{name}:x{place}"
        if tensor.constant:
            kept = onnx.numpy_helper.from_array(np.asarray(tensor.values()), node.input[place])
            graph.initializer.append(kept)
        else:
            shape = list(tensor.shape)
            kind = onnx.helper.make_tensor_value_info(node.input[place], tensor.dtype, shape)
            graph.input.append(kind)
            feeds[node.input[place]] = tensor.values()
    for place, dtype in enumerate(single.outputs):
        node.output[place] = f"{name}:{place}"
        graph.output.append(onnx.helper.make_tensor_value_info(node.output[place], dtype, None))
    graph.node.append(node)
    return feeds


def _tensor(value: ir.Value, sizes: Mapping[str, int]) -> Tensor:
    constant = constant_of(value)
    if constant is not None:
        shape = tuple(constant.shape.numpy())
        data = constant.numpy().tobytes() if constant.size <= SMALL else None
        return Tensor(shape, int(constant.dtype), True, data)
    dims = [] if value.shape is None else list(value.shape)
    shape = tuple(size if isinstance(size, int) else sizes.get(str(size.value), 1) for size in dims)
    return Tensor(shape, int(value.dtype or ir.DataType.FLOAT), False, None)
