"""Take a node out of a graph, or put another in its place."""

from collections.abc import Sequence

import onnx_ir as ir


def replace_node(
    node: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Sequence[ir.Attr] = (),
) -> ir.Node:
    """Puts a node with one output in the place of another; names, shape and type stay.

    Args:
        node: The node to replace; nobody reads its outputs but the first.
        op_type: The new node's operator.
        inputs: Its inputs.
        attributes: Its attributes.

    Returns:
        The new node.
    """
    graph, old = node.graph, node.outputs[0]
    assert isinstance(graph, ir.Graph)
    value = ir.Value(name=old.name, shape=old.shape, type=old.type)
    new = ir.Node("", op_type, inputs, attributes, name=node.name, outputs=[value])
    graph.insert_before(node, new)
    ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
    graph.remove(node, safe=True)
    return new
