"""Where a graph can be cut in two with one tensor in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxgraph.lookup import values_by_name


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


def segments(model: ir.Model, output: str) -> tuple[Segment, ...]:
    """Parts a graph at every value that all paths from its inputs to an output lead through.

    These are the dominators of the output. In any topological order a value is one exactly if,
    once it is made, nothing else that depends on an input is still to be read: a value that is
    would belong to a path around it. So one sweep finds all of them.

    Args:
        model: A graph whose nodes are in topological order.
        output: The value that is wanted of it.

    Returns:
        The segments from the inputs to the output; each ends where the next one starts.

    Raises:
        KeyError: There is no value `output`.
        ValueError: No input leads to it.
    """
    wanted = values_by_name(model.graph)[output]
    nodes = _between(model.graph, wanted)
    unread = _readers(model.graph, nodes)
    unread[wanted] = unread.get(wanted, 0) + 1
    open_values = {value for value in model.graph.inputs if unread.get(value, 0)}
    if not open_values:
        raise ValueError(f"no input leads to {output!r}")
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


def _between(graph: ir.Graph, wanted: ir.Value) -> list[ir.Node]:
    """The nodes that depend on an input and that `wanted` depends on, in the graph's order."""
    fed: set[ir.Value] = set(graph.inputs)
    dependent = []
    for node in graph:
        if any(value in fed for value in node.inputs if value is not None):
            fed.update(node.outputs)
            dependent.append(node)
    needed = {wanted}
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
