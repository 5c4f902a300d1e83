"""Join parts of several graphs one behind the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
        prefix: Stands before all its names but those of its inputs.
        start: The value of the graph that what comes before takes the place of; of the first link
            it is not read: it takes the graph's inputs.
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
        links: At least one.
        outputs: What the ends of the last link are called.

    Returns:
        One graph at the working opset with the inputs of the first link's graph, shapes inferred.

    Raises:
        KeyError: A graph has no value that a link names.
    """
    sources = [_source(value) for value in links[0].model.graph.inputs]
    graph = ir.Graph(sources, [], nodes=[], opset_imports={"": WORKING_OPSET}, name="graph")
    taken: set[str | None] = {value.name for value in sources}
    ends: list[ir.Value] = []
    for link in links:
        fed = {str(value.name): value for value in sources}
        if ends:
            value = ends[0]
            if link.bridge is not None:
                value = link.bridge(ir.tape.Tape(graph), value)
                taken.update(v.name for node in graph for v in node.outputs)
                taken.update(graph.initializers)
            # What lies before the start is left unread, whatever feeds it.
            fed = dict.fromkeys((str(value.name) for value in link.model.graph.inputs), sources[0])
            fed[link.start] = value
        ends = _add(graph, link, fed, taken)
    for name, end in zip(outputs, ends, strict=True):
        graph.outputs.append(_named(graph, end, name))
    return finished(ir.Model(graph, ir_version=WORKING_IR_VERSION))


def _add(
    graph: ir.Graph, link: Link, fed: Mapping[str, ir.Value], taken: set[str | None]
) -> list[ir.Value]:
    """Moves a copy of a part into the graph; returns its ends.

    Args:
        graph: The graph that grows.
        link: The part.
        fed: What takes the place of its values, by their names.
        taken: Names in use.
    """
    part = link.model.clone().graph
    values = values_by_name(part)
    ends = [fed[name] if name in fed else values[name] for name in link.ends]
    part.outputs.clear()
    for name, value in fed.items():
        ir.convenience.replace_all_uses_with(values[name], value)
    move_nodes(part, graph, link.prefix, taken)
    return ends


def _source(value: ir.Value) -> ir.Value:
    """An input of the whole."""
    shape = ir.Shape([BATCH, *(value.shape[1:] if value.shape is not None else ())])
    return ir.Value(name=value.name, shape=shape, type=value.type)


def _named(graph: ir.Graph, value: ir.Value, name: str) -> ir.Value:
    """The value as an output: renamed, or copied where it is one already."""
    if not value.is_graph_input() and value not in graph.outputs:
        value.name = name
        return value
    output = ir.Value(name=name, type=value.type, shape=value.shape)
    graph.append(ir.node("Identity", [value], outputs=[output], name=f"{name}.output"))
    return output
