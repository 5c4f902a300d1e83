"""Write a channel shuffle as one Gather."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.passes.names import fresh_name
from onnxgraph.passes.rewire import replace_node


@dataclass(frozen=True)
class _Shuffle:
    """A permutation of one axis of a value."""

    data: ir.Value
    axis: int
    order: npt.NDArray[np.int64]


class ShufflesToGathers(ir.passes.InPlacePass):
    """Turns Reshape → Transpose → Reshape into Gather where it only reorders one axis.

    ShuffleNet (Zhang et al. 2018, section 3.1) splits the channels into groups, exchanges groups
    and channels, and joins them again: that holds for equal groups only. A Gather says the same by
    indices, which can follow any choice of units.

    Requires: inferred shapes; targets folded.
    Ensures: no such three nodes whose inner values nobody else reads.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replaces the nodes in place; what is left of the inner two goes."""
        taken: set[str | None] = set(ir.convenience.create_value_mapping(model.graph))
        modified = False
        for node in list(model.graph):
            shuffle = _shuffle_ending_at(node)
            if shuffle is None:
                continue
            inner = node.inputs[0]
            indices = _initializer(
                model.graph, fresh_name(f"{node.name}_order", taken), shuffle.order
            )
            axis = ir.AttrInt64("axis", shuffle.axis)
            replace_node(node, "Gather", [shuffle.data, indices], [axis])
            _remove_unread(model.graph, inner)
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _shuffle_ending_at(node: ir.Node) -> _Shuffle | None:
    turned = _sole(node, "Reshape")
    opened = None if turned is None else _sole(turned, "Transpose")
    if turned is None or opened is None or opened.op_type != "Reshape":
        return None
    data, perm = opened.inputs[0], turned.attributes.get("perm")
    whole, parts, joined = (_sizes(v) for v in (data, opened.outputs[0], node.outputs[0]))
    if data is None or perm is None or not whole or whole != joined or whole.count(None) > 1:
        return None
    found = _order(whole, parts, tuple(perm.as_ints()))
    return None if found is None else _Shuffle(data, *found)


def _sole(node: ir.Node, op_type: str) -> ir.Node | None:
    """The node in front of `node`, if that is an `op_type` and the only reader."""
    source = node.inputs[0] if node.op_type == op_type else None
    if source is None or len(source.uses()) != 1 or source.is_graph_output():
        return None
    return source.producer()


def _sizes(value: ir.Value | None) -> tuple[int | None, ...]:
    """The shape of a value, None at the symbolic batch; empty if it is unknown."""
    if value is None or value.shape is None:
        return ()
    return tuple(size if isinstance(size, int) else None for size in value.shape)


def _order(
    whole: tuple[int | None, ...], parts: tuple[int | None, ...], perm: tuple[int, ...]
) -> tuple[int, npt.NDArray[np.int64]] | None:
    """The one axis of `whole` that is split, and the order of its places behind the Transpose."""
    extra = len(parts) - len(whole)
    for axis, size in enumerate(whole):
        split = slice(axis, axis + extra + 1)
        sizes = [part for part in parts[split] if isinstance(part, int)]
        others = parts[:axis] == whole[:axis] and parts[split.stop :] == whole[axis + 1 :]
        stays = [own for own in range(len(parts)) if not split.start <= own < split.stop]
        if (
            extra > 0
            and others
            and len(sizes) == extra + 1
            and math.prod(sizes) == size
            and all(perm[own] == own for own in stays)
        ):
            places = np.arange(math.prod(sizes), dtype=np.int64).reshape(sizes)
            order = [own - axis for own in perm[split]]
            return axis, np.ascontiguousarray(places.transpose(order).ravel())
    return None


def _initializer(graph: ir.Graph, name: str, array: npt.NDArray[np.int64]) -> ir.Value:
    value = ir.Value(
        name=name,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(ir.DataType.INT64),
        const_value=ir.tensor(array, name=name),
    )
    graph.register_initializer(value)
    return value


def _remove_unread(graph: ir.Graph, value: ir.Value | None) -> None:
    """Removes the node behind a value that nobody reads any more, and the one in front of it."""
    node = None if value is None else value.producer()
    if value is None or node is None or value.uses():
        return
    source = node.inputs[0]
    graph.remove(node, safe=True)
    _remove_unread(graph, source)
