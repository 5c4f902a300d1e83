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
    weights = {
        name: (value, value.const_value)
        for name, value in graph.initializers.items()
        if value.const_value is not None
        and value.const_value.size > _LARGE
        and not value.is_graph_output()
    }
    for name, (value, tensor) in weights.items():
        assert tensor is not None
        value.shape = ir.Shape(tensor.numpy().shape)
        value.type = ir.TensorType(tensor.dtype)
        value.const_value = None
        del graph.initializers[name]
        graph.inputs.append(value)
    try:
        return ir.serde.serialize_model(model)
    finally:
        graph.inputs.clear()
        graph.inputs.extend(inputs)
        for value, tensor in weights.values():
            value.const_value = tensor
            graph.register_initializer(value)


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
