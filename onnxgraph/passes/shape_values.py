"""Which values of a graph are shapes computed at run time?"""

import onnx_ir as ir

from onnxgraph.errors import GraphError, GraphReason

_SOURCES = frozenset({"Shape", "Size"})
SHAPE_INPUTS = {
    "Reshape": (1,),
    "Expand": (1,),
    "ConstantOfShape": (0,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Pad": (1, 3),
    "Resize": (2, 3),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "ReduceMean": (1,),
    "ReduceProd": (1,),
}
"""Inputs that hold sizes, axes or positions rather than data, by operator."""


def shape_values(model: ir.Model) -> frozenset[ir.Value]:
    """The values that depend on shapes and constants only, not on any data.

    Args:
        model: A topologically sorted graph, constants lifted.

    Returns:
        The outputs of Shape and Size, and of nodes that read nothing else but constants.
    """
    found: set[ir.Value] = set()
    for node in model.graph:
        read = [value for value in node.inputs if value is not None and value.const_value is None]
        if node.op_type in _SOURCES or (read and all(value in found for value in read)):
            found.update(node.outputs)
    return frozenset(found)


def frontier(shapes: frozenset[ir.Value]) -> tuple[ir.Value, ...]:
    """The shape values that nodes on data read: what must become constant."""
    return tuple(
        value
        for value in sorted(shapes, key=lambda value: str(value.name))
        if any(not set(node.outputs) & shapes for node in value.consumers())
    )


def check_independent_of_data(model: ir.Model, shapes: frozenset[ir.Value]) -> None:
    """Refuses a graph in which a size is computed from data.

    Raises:
        GraphError: `GRAPH_SHAPE_DYNAMIC` names the node that reads the size.
    """
    for node in model.graph:
        for position in SHAPE_INPUTS.get(node.op_type, ()):
            value = node.inputs[position] if position < len(node.inputs) else None
            if value is not None and value.const_value is None and value not in shapes:
                raise GraphError(
                    GraphReason.GRAPH_SHAPE_DYNAMIC,
                    f"Node {node.name!r} ({node.op_type}) takes a size from the data.",
                    advice="Rewrite that part of the model so that every size is fixed.",
                    node=node.name,
                )
