"""Reading training-mode normalisers of weights as what they are: constants."""

from collections.abc import Mapping, Set

from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxgraph.errors import GraphError, GraphReason


def standardise_weights(model: ModelProto) -> None:
    """Turns BatchNormalization in training mode over a weight to InstanceNormalization, in place.

    Standardised weights (Qiao et al. 2019; Brock et al. 2021) are exported so: the kernel as one
    sample `(1, filters, taps)`, normalised by the statistics of its batch. Over a batch of one both
    operators are the same function, and this one is folded with the other constants.

    Args:
        model: A screened model whose nodes are in order.

    Raises:
        GraphError: `GRAPH_TRAINING_MODE` for a normaliser of anything else.
    """
    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for value in graph.input:
        tensors.pop(value.name, None)
    constant, single, used = set(tensors), set(_single(tensors)), _used(model)
    for node in graph.node:
        if node.op_type == "BatchNormalization" and _trains(node):
            if not set(node.input) <= constant or node.input[0] not in single:
                raise _training_mode(node)
            if used & set(node.output[1:]):
                raise _training_mode(node)
            _by_instance(node)
        if all(name in constant for name in node.input if name):
            constant.update(node.output)
            single.update(_single_outputs(node, tensors))


def _trains(node: NodeProto) -> bool:
    """Further outputs are those of training, in every opset."""
    return len(node.output) > 1 or any(a.name == "training_mode" and a.i for a in node.attribute)


def _used(model: ModelProto) -> Set[str]:
    read = {name for node in model.graph.node for name in node.input}
    return read | {value.name for value in model.graph.output}


def _single(tensors: Mapping[str, TensorProto]) -> list[str]:
    """Those whose first axis has size 1."""
    return [name for name, tensor in tensors.items() if len(tensor.dims) and tensor.dims[0] == 1]


def _single_outputs(node: NodeProto, tensors: dict[str, TensorProto]) -> list[str]:
    """The output of a constant node, if its first axis is known to have size 1."""
    held = [a.t for a in node.attribute if a.type == a.TENSOR]
    if node.op_type == "Constant" and held:
        tensors[node.output[0]] = held[0]
        return _single({node.output[0]: held[0]})
    if node.op_type != "Reshape" or node.input[1] not in tensors:
        return []
    target = numpy_helper.to_array(tensors[node.input[1]]).ravel().tolist()
    return [node.output[0]] if target[:1] == [1] else []


def _by_instance(node: NodeProto) -> None:
    epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
    del node.input[3:], node.output[1:], node.attribute[:]
    node.op_type = "InstanceNormalization"
    node.attribute.append(helper.make_attribute("epsilon", epsilon))


def _training_mode(node: NodeProto) -> GraphError:
    name = node.name or node.output[0]
    return GraphError(
        GraphReason.GRAPH_TRAINING_MODE,
        f"Node {name!r} normalises by the statistics of its batch.",
        advice="Call model.eval() before exporting the model.",
        node=name,
    )
