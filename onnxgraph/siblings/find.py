"""Which layers of a graph are siblings, and how they can be laid out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.lookup import constant_of

Array = npt.NDArray[np.generic]

HEAVY = ("Conv", "Gemm", "MatMul")
"""What has depth: a layer that stands behind none of its siblings."""


class Layout(StrEnum):
    """How siblings are laid out."""

    SEPARATE = "separate"
    """Each for itself."""
    STACKED = "stacked"
    """Those that read one value as one layer of all their channels."""
    GROUPED = "grouped"
    """As one convolution with a group, or groups, for each: it reads all their values joined."""
    BLOCK_DIAGONAL = "block_diagonal"
    """As one dense layer on all their values joined, zero wherever one would read another's."""


@dataclass(frozen=True)
class Siblings:
    """Layers that none of each other depends on, alike but for weights and numbers of channels.

    Attributes:
        members: Two or more nodes in the order of the graph.
        layouts: In which ways they can run, `Layout.SEPARATE` first.
    """

    members: tuple[ir.Node, ...]
    layouts: tuple[Layout, ...]


def find_siblings(model: ir.Model) -> list[Siblings]:
    """All siblings of a graph, each layer in at most one group.

    Layers that read one value are siblings of each other first; of those that are left, the ones at
    equal depth (counted in `HEAVY` layers), so that no way leads from one to another.

    Args:
        model: A graph at the working opset, its nodes in order, shapes inferred.
    """
    one_value: dict[object, list[ir.Node]] = {}
    beside: dict[object, list[ir.Node]] = {}
    depths = depths_of(model.graph)
    for node in model.graph:
        kind = _kind(node)
        if kind is not None and node.op_type == "Conv" and groups_of(node) == 1:
            key: object = (id(node.inputs[0]), kind, _inner(node), reader_of(node))
            one_value.setdefault(key, []).append(node)
    stacked = [group for group in one_value.values() if len(group) > 1]
    taken = {id(node) for group in stacked for node in group}
    for node in model.graph:
        kind = _kind(node)
        if kind is not None and id(node) not in taken:
            key = (depths[id(node)], kind, _channels(node), _place(node), reader_of(node))
            beside.setdefault(key, []).append(node)
    joined = [(group, _joinable(group)) for group in beside.values() if len(group) > 1]
    return [
        *(Siblings(tuple(group), (Layout.SEPARATE, Layout.STACKED)) for group in stacked),
        *(Siblings(tuple(group), layouts) for group, layouts in joined if len(layouts) > 1),
    ]


def weight_shape_of(node: ir.Node) -> tuple[int, ...]:
    """The shape of the constant weight of a layer."""
    tensor = constant_of(node.inputs[1])
    assert tensor is not None
    return tuple(int(size) for size in tensor.shape.numpy())


def weight_of(node: ir.Node) -> Array:
    """The constant weight of a layer."""
    tensor = constant_of(node.inputs[1])
    assert tensor is not None
    return tensor.numpy()


def bias_of(node: ir.Node) -> Array | None:
    """The constant bias of a layer, None without one."""
    tensor = constant_of(node.inputs[2]) if len(node.inputs) > 2 else None
    return None if tensor is None else tensor.numpy()


def width_of(node: ir.Node) -> int:
    """Output channels of a layer."""
    shape = weight_shape_of(node)
    turned = node.op_type == "Conv" or node.attributes.get_int("transB", 0) != 0
    return shape[0] if turned else shape[-1]


def groups_of(node: ir.Node) -> int:
    """Groups of a convolution; 1 of another layer."""
    return node.attributes.get_int("group", 1)


def reader_of(node: ir.Node) -> str | None:
    """The operator that alone reads a layer: what runs as one is read as one."""
    uses = node.outputs[0].uses()
    if len(uses) != 1:
        return None
    (use,) = uses
    return use.node.op_type


def depths_of(graph: ir.Graph) -> dict[int, int]:
    """Of every node, by its identity, how many heavy ones stand before it on the longest way.

    Args:
        graph: Its nodes in order.
    """
    depths: dict[int, int] = {}
    for node in graph:
        before = [value.producer() for value in node.inputs if value is not None]
        behind = [depths[id(one)] + (one.op_type in HEAVY) for one in before if one is not None]
        depths[id(node)] = max(behind, default=0)
    return depths


def _kind(node: ir.Node) -> tuple[object, ...] | None:
    """What siblings have in common apart from channels; None for what is no layer of that kind."""
    data = node.inputs[0] if node.inputs else None
    if node.op_type not in HEAVY or data is None or node.outputs[0].is_graph_output():
        return None
    weight = constant_of(node.inputs[1])
    has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
    if weight is None or (has_bias and constant_of(node.inputs[2]) is None):
        return None
    if node.op_type != "Conv" and (weight.shape.rank() != 2 or not _is_plain(node)):
        return None
    attributes = tuple(
        sorted((name, str(one.value)) for name, one in node.attributes.items() if name != "group")
    )
    kernel = tuple(weight.shape.numpy()[2:]) if node.op_type == "Conv" else ()
    return node.op_type, attributes, kernel, weight.dtype


def _is_plain(node: ir.Node) -> bool:
    """Whether a product is rows times weight plus a bias of one number per column, unscaled."""
    if node.op_type == "MatMul":
        return True
    bias = bias_of(node)
    scaled = any(
        name in node.attributes and node.attributes[name].value != 1.0 for name in ("alpha", "beta")
    )
    unturned = not node.attributes.get_int("transA", 0)
    return unturned and not scaled and (bias is None or bias.size == width_of(node))


def _inner(node: ir.Node) -> int:
    """Channels that each output channel of a convolution reads."""
    return weight_shape_of(node)[1]


def _place(node: ir.Node) -> tuple[object, ...]:
    """Sizes of the value that a layer reads, its channels aside."""
    data = node.inputs[0]
    if data is None or data.shape is None:
        return ("unknown", id(node))
    sizes = [str(size) for size in data.shape]
    del sizes[1 if node.op_type == "Conv" else -1]
    return tuple(sizes)


def _channels(node: ir.Node) -> tuple[int, ...]:
    """Channels that a layer, or each group of it, reads and gives."""
    if node.op_type != "Conv":
        return weight_shape_of(node)
    return _inner(node), width_of(node) // groups_of(node)


def _joinable(group: Sequence[ir.Node]) -> tuple[Layout, ...]:
    """In which ways layers that read values of their own can run."""
    found = [Layout.SEPARATE]
    if group[0].op_type == "Conv":
        found.append(Layout.GROUPED)
    if all(groups_of(node) == 1 for node in group):
        found.append(Layout.BLOCK_DIAGONAL)
    return tuple(found)
