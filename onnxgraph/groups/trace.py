"""Following units through a graph, node by node, by the flow rules of the operator table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxgraph.classifier import FEATURES, SCORES
from onnxgraph.lookup import nodes_by_name, opset_of
from onnxgraph.operators import TABLE, Call
from onnxgraph.operators.ledger import Ledger
from onnxgraph.operators.step import Placed, Step
from onnxgraph.operators.units import NOTHING, AxisUnits, Grid, Layout


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
    ledger, placed, producers = Ledger(), dict[str, Placed](), dict[str, str]()
    for name, node in nodes.items():
        inputs = [
            placed.get(value.name or "", Placed()) if value else Placed() for value in node.inputs
        ]
        step = Step(node, Call.of(node, opset), inputs, ledger)
        row = TABLE.get(node.op_type) if node.domain == "" else None
        if row is None:
            step.block("is an operator that is not followed")
        else:
            row.flow(step)
        step.finish()
        for output, found in step.emitted.items():
            value = node.outputs[output].name if output < len(node.outputs) else None
            if value and (found.layout or found.grids):
                placed[value], producers[value] = found, name
    layouts = {value: _settled(ledger, found) for value, found in placed.items()}
    features = _feature_outputs(model)
    for graph_output in model.graph.outputs:
        if graph_output.name not in features:
            for units in layouts.get(graph_output.name or "", NOTHING).values():
                ledger.freeze(
                    units.units, f"its units are the graph's output '{graph_output.name}'"
                )
    return Trace(nodes, ledger, producers, layouts, opset)


def _settled(ledger: Ledger, placed: Placed) -> Layout:
    """A value's layout once each of its grids is cut across one axis."""
    layout = dict(placed.layout)
    for grid in placed.grids:
        axis = _cut_axis(ledger, grid)
        lines = grid.along(axis)
        ledger.tie(lines, "its units are spread over axes that hold other values too")
        phase = np.zeros(lines.shape[0], np.int64)
        layout[axis] = AxisUnits(lines[:, 0].copy(), phase)
    return layout


def _cut_axis(ledger: Ledger, grid: Grid) -> int:
    """The axis across which the units of a grid lie already, else its longest one."""
    for axis in grid.axes:
        roots = ledger.roots(grid.along(axis))
        if (roots == roots[:, :1]).all() and np.unique(roots).size > 1:
            return axis
    return grid.axes[int(np.argmax(grid.units.shape))]


def _feature_outputs(model: ir.Model) -> set[str]:
    """The feature vector, if the graph is a fragment."""
    names = {output.name for output in model.graph.outputs}
    return {FEATURES} if {FEATURES, SCORES} <= names else set()
