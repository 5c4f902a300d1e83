"""The last linear node of a classifier, and the graph cut open there."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.lookup import opset_of, unused_name, values_by_name
from onnxgraph.operators import TABLE, Call
from onnxgraph.operators.operator import Dims
from onnxgraph.operators.step import dims_of
from onnxgraph.parameters import bias_add, weight_shape_of
from onnxgraph.shapes import with_shapes

FEATURES = "features"
"""The output of a fragment that holds the flattened feature vector, `(N, F)`."""
SCORES = "scores"
"""The output of a fragment that holds the class scores, `(N, C)`."""

_STRIPPED = frozenset(
    {
        "Cast",
        "Dropout",
        "Flatten",
        "Identity",
        "LogSoftmax",
        "Reshape",
        "Sigmoid",
        "Softmax",
        "Squeeze",
        "Tanh",
    }
)
"""What may follow the scores: it keeps their order (or only their shape changes)."""
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool", "ReduceMean"})


@dataclass(frozen=True)
class Classifier:
    """The last linear node before the class scores.

    Attributes:
        node: The name of the Gemm, MatMul or Conv.
        feature: The value that it reads.
        scores: The value that holds the class scores: its output, or that of its bias Add.
        feature_width: Features per sample.
        classes: Class scores per sample.
    """

    node: str
    feature: str
    scores: str
    feature_width: int
    classes: int


def find_classifier(model: ir.Model) -> Classifier:
    """Walks back from the outputs to the last linear node.

    An output called `scores` is tried first, then all outputs in order.

    Raises:
        GraphError: `GRAPH_NO_LINEAR_CLASSIFIER` if no output comes from such a node.
    """
    # A fragment declares both widths at its outputs: its other shapes need not be known.
    found = _classifier_behind(_outputs(model)[0], opset_of(model))
    if found is not None:
        return found
    shaped = with_shapes(model)
    for output in _outputs(shaped):
        found = _classifier_behind(output, opset_of(shaped))
        if found is not None:
            return found
    raise _no_classifier(_outputs(shaped)[0])


def _outputs(model: ir.Model) -> list[ir.Value]:
    """Those that the class scores are looked for behind, in this order."""
    return sorted(model.graph.outputs, key=lambda value: value.name != SCORES)


def _no_classifier(output: ir.Value) -> GraphError:
    """Says what stands where a linear node is needed."""
    node = _stripped(output).producer()
    stands = (
        "is computed by no node" if node is None else f"comes from {node.op_type} {node.name!r}"
    )
    advice = "Submit a classifier whose last layer is dense (Gemm, or MatMul with a bias)."
    if node is not None and node.op_type in _POOLS:
        advice = (
            "A pool of activated class maps is not linear: end the model with a dense layer, such "
            "as torch.nn.Linear(classes, classes) with the identity as its weight, which changes "
            "no score."
        )
    return GraphError(
        GraphReason.GRAPH_NO_LINEAR_CLASSIFIER,
        f"Output {output.name!r} {stands}: not from a linear node, with at most a Softmax or the "
        "like behind it.",
        advice=advice,
        node=None if node is None else node.name,
    )


def as_fragment(model: ir.Model, classifier: Classifier) -> ir.Model:
    """The graph with the outputs `features` `(N, F)` and `scores` `(N, C)`, in this order.

    Names of all other values stay; what only served other outputs is gone.
    """
    fragment = with_shapes(model).clone()
    values = values_by_name(fragment.graph)
    feature, scores = values[classifier.feature], values[classifier.scores]
    for wanted, value in ((FEATURES, feature), (SCORES, scores)):
        occupied = values.get(wanted)
        if occupied is not None and occupied is not value:
            occupied.name = unused_name(fragment.graph, f"{wanted}_before")
    fragment.graph.outputs.clear()
    for wanted, value, width in (
        (FEATURES, feature, classifier.feature_width),
        (SCORES, scores, classifier.classes),
    ):
        fragment.graph.outputs.append(_published(fragment.graph, value, wanted, width))
    RemoveUnusedNodesPass()(fragment)
    return fragment


def _published(graph: ir.Graph, value: ir.Value, wanted: str, width: int) -> ir.Value:
    """`value` as the output `wanted`: renamed where it is `(N, width)`, else flattened."""
    if len(dims_of(value)) == 2 and not value.is_graph_input() and not value.is_initializer():
        value.name = wanted
        return value
    name = unused_name(graph, f"{wanted}_flatten")
    batch = value.shape[0] if value.shape is not None else "batch"
    output = ir.Value(name=wanted, type=value.type, shape=ir.Shape([batch, width]))
    graph.append(ir.node("Flatten", [value], {"axis": 1}, outputs=[output], name=name))
    return output


def _classifier_behind(value: ir.Value, opset: int) -> Classifier | None:
    scores = _stripped(value)
    node = scores.producer()
    if node is None:
        return None
    if node.op_type == "Add":
        node = _biased_by(node)
    if node is None or node.op_type not in TABLE or not node.inputs:
        return None
    return _describe(node, scores, opset)


def _stripped(value: ir.Value) -> ir.Value:
    """The value in front of what only keeps the order of scores."""
    while (node := value.producer()) is not None and node.op_type in _STRIPPED:
        source = node.inputs[0]
        if source is None:
            break
        value = source
    return value


def _biased_by(add: ir.Node) -> ir.Node | None:
    """The MatMul whose bias `add` is."""
    producers = [value.producer() for value in add.inputs if value is not None]
    return next((node for node in producers if node is not None and bias_add(node) is add), None)


def _describe(node: ir.Node, scores: ir.Value, opset: int) -> Classifier | None:
    call, facet = Call.of(node, opset), TABLE[node.op_type].linear
    weight = weight_shape_of(node)
    feature = node.inputs[0]
    if facet is None or weight is None or feature is None or not facet.applies(call, weight):
        return None
    if not facet.is_output:
        return None
    classes, width = _per_sample(dims_of(scores)), _per_sample(dims_of(feature))
    if width is None or classes != weight[facet.output_axis(call)]:
        return None
    assert node.name is not None
    assert feature.name is not None
    assert scores.name is not None
    return Classifier(node.name, feature.name, scores.name, width, classes)


def _per_sample(dims: Dims) -> int | None:
    """Elements per sample, or None if a size is open."""
    sizes = [size for size in dims[1:] if size is not None]
    return prod(sizes) if len(sizes) == len(dims) - 1 else None
