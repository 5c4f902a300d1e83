"""Where a graph can be cut in two with one tensor in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxgraph.cost import cost
from onnxgraph.lookup import opset_of, values_by_name
from onnxgraph.operators import TABLE, Call
from onnxgraph.operators.step import dims_of
from onnxgraph.parameters import weight_shape_of
from onnxgraph.shapes import with_shapes


@dataclass(frozen=True)
class Segment:
    """What lies between two neighbouring cut points.

    Attributes:
        start: The value that it reads; None in front of the first cut point of a graph with several
            inputs.
        end: The value that it makes.
        nodes: The names of its nodes in topological order; constants aside.
    """

    start: str | None
    end: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class CutPoint:
    """One place at which a graph can be cut.

    Attributes:
        value: The tensor that everything behind reads, and nothing else from in front.
        shape: Of one sample: `(C, H, W)` or `(F,)`.
        depth: The share of the graph's MACs in front of it, in [0, 1].
    """

    value: str
    shape: tuple[int, ...]
    depth: float


def segments(model: ir.Model, outputs: Sequence[str]) -> tuple[Segment, ...]:
    """Parts a graph at every value that all paths from its inputs to some outputs lead through.

    These are the common dominators of the outputs. In any topological order a value is one exactly
    if, once it is made, nothing else that depends on an input is still to be read: a value that is
    would belong to a path around it. So one sweep finds all of them.

    Args:
        model: A graph whose nodes are in topological order.
        outputs: The values that are wanted of it.

    Returns:
        The segments from the inputs to the last such value, which of a single output is the output
        itself; each ends where the next one starts.

    Raises:
        KeyError: There is no value of such a name.
        ValueError: No input leads to any of them.
    """
    values = values_by_name(model.graph)
    wanted = {values[name] for name in outputs}
    nodes = _between(model.graph, wanted)
    unread = _readers(model.graph, nodes)
    for value in wanted:
        # What is wanted is read once more, by whoever wants it.
        unread[value] = unread.get(value, 0) + 1
    open_values = {value for value in model.graph.inputs if unread.get(value, 0)}
    if not open_values:
        raise ValueError(f"no input leads to any of {list(outputs)}")
    start = next(iter(open_values)).name if len(open_values) == 1 else None
    found: list[Segment] = []
    passed: list[str] = []
    for node in nodes:
        passed.append(str(node.name))
        for value in _distinct(node.inputs):
            if value in unread:
                unread[value] -= 1
                if not unread[value]:
                    open_values.discard(value)
        open_values.update(value for value in node.outputs if unread.get(value, 0))
        if len(open_values) == 1:
            (only,) = open_values
            if only in node.outputs:
                found.append(Segment(start, str(only.name), tuple(passed)))
                start, passed = only.name, []
    return tuple(found)


def cut_points(model: ir.Model) -> tuple[CutPoint, ...]:
    """All places where a linear node reads the one tensor that a graph hangs by, from the front.

    What is behind such a place makes all of the graph's outputs.

    Args:
        model: A fragment, or a model with the outputs of one: nodes in order.

    Raises:
        GraphError: `GRAPH_SHAPE_DYNAMIC` if a shape cannot be inferred.
    """
    shaped = with_shapes(model)
    counted = cost(shaped)
    before = 0
    macs_before: dict[str, float] = {}
    for node in shaped.graph:
        share = counted.by_node.get(node.name or "")
        before += 0 if share is None else share.macs
        macs_before |= {str(one.name): before / max(counted.macs, 1) for one in node.outputs}
    opset, values = opset_of(shaped), values_by_name(shaped.graph)
    outputs = [str(value.name) for value in shaped.graph.outputs]
    ends = [values[segment.end] for segment in segments(shaped, outputs)]
    return tuple(
        CutPoint(str(value.name), shape, macs_before[str(value.name)])
        for value in ends
        if (shape := _sample_shape(value)) is not None and _feeds_linear(value, opset)
    )


def _between(graph: ir.Graph, wanted: set[ir.Value]) -> list[ir.Node]:
    """The nodes between the inputs and what is wanted, in the graph's order."""
    fed: set[ir.Value] = set(graph.inputs)
    dependent = []
    for node in graph:
        if any(value in fed for value in node.inputs if value is not None):
            fed.update(node.outputs)
            dependent.append(node)
    needed = set(wanted)
    found = []
    for node in reversed(dependent):
        if any(value in needed for value in node.outputs):
            needed.update(value for value in node.inputs if value is not None)
            found.append(node)
    return found[::-1]


def _readers(graph: ir.Graph, nodes: list[ir.Node]) -> dict[ir.Value, int]:
    """How many of the nodes read each value that depends on an input."""
    made = set(graph.inputs).union(*(node.outputs for node in nodes))
    counts: dict[ir.Value, int] = {}
    for node in nodes:
        for value in _distinct(node.inputs):
            if value in made:
                counts[value] = counts.get(value, 0) + 1
    return counts


def _distinct(values: Sequence[ir.Value | None]) -> set[ir.Value]:
    return {value for value in values if value is not None}


def _sample_shape(value: ir.Value) -> tuple[int, ...] | None:
    """The shape of a sample of maps or features; None of anything else."""
    sizes = dims_of(value)[1:]
    if len(sizes) not in (1, 3) or value.dtype is not ir.DataType.FLOAT:
        return None
    known = tuple(size for size in sizes if size is not None)
    return known if len(known) == len(sizes) else None


def _feeds_linear(value: ir.Value, opset: int) -> bool:
    return any(_is_linear(use.node, opset) and use.idx == 0 for use in value.uses())


def _is_linear(node: ir.Node, opset: int) -> bool:
    facet = TABLE[node.op_type].linear if node.op_type in TABLE else None
    weight = weight_shape_of(node)
    return facet is not None and weight is not None and facet.applies(Call.of(node, opset), weight)
