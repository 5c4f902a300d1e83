"""Finding nodes and values of a graph by name."""

from __future__ import annotations

import onnx_ir as ir

from onnxgraph.errors import GraphError, GraphReason


def opset_of(model: ir.Model) -> int:
    """The version of the default operator set that a model uses.

    Raises:
        GraphError: `GRAPH_OPSET_UNSUPPORTED` if it names none.
    """
    imports = model.graph.opset_imports
    version = imports.get("", imports.get("ai.onnx"))
    if version is None:
        raise GraphError(
            GraphReason.GRAPH_OPSET_UNSUPPORTED,
            "The model imports no version of the default operator set.",
            advice="Export it again with a current exporter.",
        )
    return version


def nodes_by_name(graph: ir.Graph) -> dict[str, ir.Node]:
    """All nodes of a graph by name.

    Raises:
        GraphError: `GRAPH_INVALID` if two nodes share a name.
    """
    found: dict[str, ir.Node] = {}
    for node in graph:
        name = node.name or ""
        if name in found:
            raise GraphError(
                GraphReason.GRAPH_INVALID,
                f"Two nodes share the name '{name}'.",
                advice="Give every node a name of its own.",
                node=name,
            )
        found[name] = node
    return found


def values_by_name(graph: ir.Graph) -> dict[str, ir.Value]:
    """All inputs, initializers and node outputs of a graph by name."""
    found = {value.name: value for value in [*graph.inputs, *graph.initializers.values()]}
    found.update((output.name, output) for node in graph for output in node.outputs)
    return {name: value for name, value in found.items() if name}


def node_named(model: ir.Model, name: str) -> ir.Node:
    """The node called `name`.

    Raises:
        KeyError: If there is none.
    """
    for node in model.graph:
        if node.name == name:
            return node
    raise KeyError(f"no node is called '{name}'")


def constant_of(value: ir.Value | None) -> ir.TensorProtocol | None:
    """The tensor of an initializer that no caller can replace, else None."""
    if value is None or value.is_graph_input():
        return None
    return value.const_value


def unused_name(graph: ir.Graph, wanted: str) -> str:
    """`wanted`, or `wanted` with the first free number behind it."""
    taken = set(values_by_name(graph)) | {node.name for node in graph}
    if wanted not in taken:
        return wanted
    number = 1
    while f"{wanted}_{number}" in taken:
        number += 1
    return f"{wanted}_{number}"
