"""Pool positions before the class scores are computed rather than after."""

import math

import onnx_ir as ir

from onnxgraph.passes.names import fresh_name
from onnxgraph.passes.rewire import replace_node


class PoolBeforeClasses(ir.passes.InPlacePass):
    """Exchanges a pointwise Conv with the average over all positions that alone reads it.

    A fully convolutional classifier (Lin et al. 2014, section 3.2) averages class maps:
    mean(W·x + b) = W·mean(x) + b, at a fraction of the cost, and then its Conv is the last node
    that computes. With an activation between the two that does not hold.

    Requires: inferred shapes; every initializer with one use.
    Ensures: no average over all positions directly after such a Conv.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Exchanges the nodes in place."""
        taken: set[str | None] = set(ir.convenience.create_value_mapping(model.graph))
        taken |= {node.name for node in model.graph}
        modified = False
        for pool in list(model.graph):
            conv = pool.inputs[0].producer() if _averages_all(pool) and pool.inputs[0] else None
            if conv is not None and _pointwise(conv):
                _exchange(model.graph, conv, pool, taken)
                modified = True
        return ir.passes.PassResult(model, modified=modified)


def _positions(value: ir.Value | None) -> list[int]:
    """The sizes of the positions of an `(N, C, …)` value, empty if one is open."""
    if value is None or value.shape is None:
        return []
    sizes = [size for size in value.shape[2:] if isinstance(size, int)]
    return sizes if len(sizes) == len(value.shape) - 2 else []


def _averages_all(pool: ir.Node) -> bool:
    """Whether a node averages exactly the positions, all of them."""
    sizes = _positions(pool.inputs[0]) if pool.inputs else []
    if not sizes:
        return False
    if pool.op_type == "AveragePool":
        padded = any(pool.attributes.get_ints("pads", ())) or "auto_pad" in pool.attributes
        return not padded and list(pool.attributes.get_ints("kernel_shape", ())) == sizes
    if pool.op_type == "ReduceMean":
        axes = pool.inputs[1].const_value if len(pool.inputs) > 1 and pool.inputs[1] else None
        rank = len(sizes) + 2
        named = [] if axes is None else [int(axis) % rank for axis in axes.numpy().ravel()]
        return sorted(named) == list(range(2, rank))
    return pool.op_type == "GlobalAveragePool"


def _pointwise(conv: ir.Node) -> bool:
    """Whether a node is a 1×1 Conv of one group that reads every position, read by one node."""
    weight = conv.inputs[1].const_value if conv.op_type == "Conv" and conv.inputs[1] else None
    output = conv.outputs[0]
    if weight is None or len(output.uses()) != 1 or output.is_graph_output():
        return False
    unit = math.prod(weight.shape.numpy()[2:]) == 1 and conv.attributes.get_int("group", 1) == 1
    whole = not any(conv.attributes.get_ints("pads", ()))
    strides = conv.attributes.get_ints("strides", (1,))
    return unit and whole and all(stride == 1 for stride in strides)


def _exchange(graph: ir.Graph, conv: ir.Node, pool: ir.Node, taken: set[str | None]) -> None:
    data, maps = conv.inputs[0], conv.outputs[0]
    assert data is not None
    assert data.shape is not None
    pooled = ir.Value(
        name=fresh_name(f"{data.name}_mean", taken),
        type=data.type,
        shape=ir.Shape([*data.shape[:2], *[1] * len(_positions(data))]),
    )
    name = fresh_name(f"{conv.name}_mean", taken)
    graph.insert_before(conv, ir.Node("", "GlobalAveragePool", [data], name=name, outputs=[pooled]))
    conv.replace_input_with(0, pooled)
    maps.shape = None  # Inferred again: a single position is left.
    keeps = pool.op_type != "ReduceMean" or pool.attributes.get_int("keepdims", 1) == 1
    attributes = [] if keeps else [ir.AttrInt64("axis", 1)]
    replace_node(pool, "Identity" if keeps else "Flatten", [maps], attributes)
