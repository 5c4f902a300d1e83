"""Join parts of several graphs one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxgraph.lookup import values_by_name
from onnxgraph.merge import finished, move_nodes
from onnxgraph.passes.free_batch import BATCH
from onnxgraph.passes.raise_opset import WORKING_IR_VERSION, WORKING_OPSET

Bridge = Callable[[ir.tape.Tape, ir.Value], ir.Value]
"""Adds nodes to the tape that read a value; returns what they make of it."""


@dataclass(frozen=True)
class Link:
    """A part of a graph.

    Attributes:
        model: The graph, at the working opset; left as it is.
        prefix: Stands before all its names but that of its input.
        start: The value of the graph that what comes before takes the place of; of the first link,
            the graph's input.
        ends: The values that are wanted; the first is passed on, those of the last link are the
            outputs.
        bridge: What leads to this link, if anything.
    """

    model: ir.Model
    prefix: str
    start: str
    ends: tuple[str, ...]
    bridge: Bridge | None = None


def chain(links: Sequence[Link], outputs: Sequence[str]) -> ir.Model:
    """Joins parts, each fed by the one before.

    Args:
        links: At least one; all graphs have one input.
        outputs: What the ends of the last link are called.

    Returns:
        One graph at the working opset with the input of the first link's graph, shapes inferred.

    Raises:
        KeyError: A graph has no value that a link names.
    """
    (first,) = links[0].model.graph.inputs
    shape = ir.Shape([BATCH, *(first.shape[1:] if first.shape is not None else ())])
    source = ir.Value(name=first.name, shape=shape, type=first.type)
    graph = ir.Graph([source], [], nodes=[], opset_imports={"": WORKING_OPSET}, name="graph")
    taken: set[str | None] = {source.name}
    value = source
    ends = [value]
    for link in links:
        if link.bridge is not None:
            value = link.bridge(ir.tape.Tape(graph), value)
            taken.update(v.name for node in graph for v in node.outputs)
            taken.update(graph.initializers)
        ends = _add(graph, link, (source, value), taken)
        value = ends[0]
    for name, end in zip(outputs, ends, strict=True):
        graph.outputs.append(_named(graph, end, name))
    return finished(ir.Model(graph, ir_version=WORKING_IR_VERSION))


def _add(
    graph: ir.Graph, link: Link, fed: tuple[ir.Value, ir.Value], taken: set[str | None]
) -> list[ir.Value]:
    """Moves a copy of a part into the graph; what lies before its start is left unread.

    Args:
        graph: The graph that grows.
        link: The part.
        fed: The input of the whole, and what takes the place of the part's start.
        taken: Names in use.
    """
    part = link.model.clone().graph
    values = values_by_name(part)
    start = values[link.start]
    ends = [fed[1] if name == link.start else values[name] for name in link.ends]
    part.outputs.clear()
    ir.convenience.replace_all_uses_with(start, fed[1])
    for value in part.inputs:
        ir.convenience.replace_all_uses_with(value, fed[0])
    move_nodes(part, graph, link.prefix, taken)
    return ends


def _named(graph: ir.Graph, value: ir.Value, name: str) -> ir.Value:
    """The value as an output: renamed, or copied where it is one already."""
    if not value.is_graph_input() and value not in graph.outputs:
        value.name = name
        return value
    output = ir.Value(name=name, type=value.type, shape=value.shape)
    graph.append(ir.node("Identity", [value], outputs=[output], name=f"{name}.output"))
    return output
