"""Serialize a graph without its weights, for native code that looks at its structure only."""

import onnx_ir as ir
from onnx import ModelProto

_LARGE = 4096


def structure(model: ir.Model) -> ModelProto:
    """The model with every large initializer as an input, so that no weights are copied.

    Small initializers stay: shapes and conversions depend on their values.

    Args:
        model: The model; the same as before when the call returns.
    """
    graph = model.graph
    inputs = list(graph.inputs)
    weights = large_weights(graph)
    for name, tensor in weights.items():
        value = graph.initializers.pop(name)
        value.shape = ir.Shape(tensor.shape.numpy())
        value.type = ir.TensorType(tensor.dtype)
        value.const_value = None
        graph.inputs.append(value)
    try:
        return ir.serde.serialize_model(model)
    finally:
        aside = graph.inputs[len(inputs) :]
        graph.inputs.clear()
        graph.inputs.extend(inputs)
        for value in aside:
            value.const_value = weights[str(value.name)]
            graph.register_initializer(value)


def large_weights(graph: ir.Graph) -> dict[str, ir.TensorProtocol]:
    """The tensors that `structure` leaves out, by name."""
    return {
        name: value.const_value
        for name, value in graph.initializers.items()
        if value.const_value is not None
        and value.const_value.size > _LARGE
        and not value.is_graph_output()
    }


def adopt_weights(graph: ir.Graph, source: ir.Graph) -> None:
    """Turns the inputs that stand for weights into initializers again.

    Args:
        graph: A graph made from `structure`.
        source: The graph that has the inputs and the weights.
    """
    found = {value.name: value for value in graph.inputs}
    graph.inputs.clear()
    for value in source.inputs:
        graph.inputs.append(found.pop(value.name))
    for name, value in found.items():
        value.const_value = source.initializers[str(name)].const_value
        graph.register_initializer(value)
