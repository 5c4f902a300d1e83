"""Following units through a graph, node by node, by the flow rules of the operator table."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxgraph.classifier import FEATURES, SCORES
from onnxgraph.lookup import nodes_by_name, opset_of
from onnxgraph.operators import TABLE, Call
from onnxgraph.operators.ledger import Ledger
from onnxgraph.operators.step import Step
from onnxgraph.operators.units import NOTHING, Layout


@dataclass(frozen=True)
class Trace:
    """A walked graph.

    Attributes:
        nodes: All nodes by name, in topological order.
        ledger: What the flow rules wrote down.
        producers: The node that computes each value with units, by value name.
        layouts: Where units stand, by value name, in topological order.
        opset: The version of the default operator set.
    """

    nodes: dict[str, ir.Node]
    ledger: Ledger
    producers: dict[str, str]
    layouts: dict[str, Layout]
    opset: int


def trace(model: ir.Model) -> Trace:
    """Walks a graph whose shapes are known.

    Units that reach an output of the graph stay whole, except in the feature vector of a fragment:
    its features are what is left of it.
    """
    nodes, opset = nodes_by_name(model.graph), opset_of(model)
    ledger, layouts, producers = Ledger(), dict[str, Layout](), dict[str, str]()
    for name, node in nodes.items():
        inputs = [
            layouts.get(value.name or "", NOTHING) if value else NOTHING for value in node.inputs
        ]
        step = Step(node, Call.of(node, opset), inputs, ledger)
        row = TABLE.get(node.op_type) if node.domain == "" else None
        if row is None:
            step.block("is an operator that is not followed")
        else:
            row.flow(step)
        if step.emitted and node.outputs[0].name:
            layouts[node.outputs[0].name] = step.emitted
            producers[node.outputs[0].name] = name
    features = _feature_outputs(model)
    for output in model.graph.outputs:
        if output.name not in features:
            for units in layouts.get(output.name or "", NOTHING).values():
                ledger.freeze(units.units, f"its units are the graph's output '{output.name}'")
    return Trace(nodes, ledger, producers, layouts, opset)


def _feature_outputs(model: ir.Model) -> set[str]:
    """The feature vector, if the graph is a fragment."""
    names = {output.name for output in model.graph.outputs}
    return {FEATURES} if {FEATURES, SCORES} <= names else set()
