"""Join several graphs and a tail into one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes.common import (
    CommonSubexpressionEliminationPass,
    DeduplicateHashedInitializersPass,
    NameFixPass,
    RemoveUnusedNodesPass,
)

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.limits import DEFAULT_LIMITS
from onnxgraph.passes.free_batch import BATCH, FreeBatch
from onnxgraph.passes.infer_shapes import InferShapes
from onnxgraph.passes.names import ReadableNames, fresh_name
from onnxgraph.passes.raise_opset import WORKING_IR_VERSION, WORKING_OPSET

Tail = Callable[[ir.tape.Tape, Sequence[Sequence[ir.Value]]], Sequence[ir.Value]]
"""Adds nodes to the tape that read each branch's outputs; returns the outputs of the whole."""


@dataclass(frozen=True)
class Branch:
    """One graph of a merge.

    Attributes:
        model: The graph, at the working opset; left as it is.
        prefix: Stands before all its names but those of its inputs.
        outputs: Those of its outputs that the tail reads, in this order.
    """

    model: ir.Model
    prefix: str
    outputs: tuple[str, ...]


def merge(branches: Sequence[Branch], tail: Tail) -> ir.Model:
    """Joins branches side by side over shared inputs and puts a tail on top.

    Inputs with the same name are one input. Equal weights are kept once, and what branches compute
    alike of the same inputs (the same preparation of a picture, the same layers at the front, the
    same embedding) is computed once. Nodes and weights that no output needs are left out;
    inputs stay, so that callers see the signature that they expect.

    Args:
        branches: At least one branch.
        tail: Called once with a tape and each branch's outputs; names the outputs that it returns.

    Returns:
        One graph at the working opset, every input and output `(batch, ...)`, shapes inferred.

    Raises:
        GraphError: `GRAPHS_INCOMPATIBLE` if branches disagree on type or shape of an input that
            they share, `GRAPH_VALUE_MISSING` if a branch has no output of a wanted name.
    """
    inputs = _shared_inputs(branches)
    graph = ir.Graph(
        list(inputs.values()), [], nodes=[], opset_imports={"": WORKING_OPSET}, name="graph"
    )
    model = ir.Model(graph, ir_version=WORKING_IR_VERSION)
    taken: set[str | None] = set(inputs)
    ends = [_add(graph, branch, inputs, taken) for branch in branches]
    graph.outputs.extend(tail(ir.tape.Tape(graph), ends))
    return finished(model)


def finished(model: ir.Model) -> ir.Model:
    """Tidies a joined graph in place: nothing unread, nothing twice, names, shapes; returns it."""
    FreeBatch()(model)
    RemoveUnusedNodesPass()(model)
    DeduplicateHashedInitializersPass()(model)
    CommonSubexpressionEliminationPass()(model)
    NameFixPass(name_generator=ReadableNames())(model)
    InferShapes(DEFAULT_LIMITS)(model)
    for output in model.graph.outputs:
        if output.shape is not None and len(output.shape):
            output.shape = ir.Shape([BATCH, *output.shape[1:]])
    return model


def _shared_inputs(branches: Sequence[Branch]) -> dict[str, ir.Value]:
    """The inputs of all branches by name, each a new value; refuses those that disagree."""
    shared: dict[str, ir.Value] = {}
    owners: dict[str, Branch] = {}
    for branch in branches:
        for value in branch.model.graph.inputs:
            name = str(value.name)
            if name not in shared:
                shape = ir.Shape([BATCH, *_sample_shape(value)])
                shared[name] = ir.Value(name=name, shape=shape, type=value.type)
                owners[name] = branch
            elif (first := _spec(shared[name])) != (second := _spec(value)):
                raise GraphError(
                    GraphReason.GRAPHS_INCOMPATIBLE,
                    f"Input {name!r} is {first} in {owners[name].prefix!r} and {second} in "
                    f"{branch.prefix!r}.",
                    advice="Pack fragments of models that agree on the inputs that they share.",
                    node=name,
                    metadata={
                        "input": name,
                        "first": owners[name].prefix,
                        "second": branch.prefix,
                    },
                )
    return shared


def _sample_shape(value: ir.Value) -> tuple[int | ir.SymbolicDim, ...]:
    return tuple(value.shape[1:]) if value.shape is not None else ()


def _spec(value: ir.Value) -> str:
    """Type and shape of an input, the batch aside, as text."""
    kind = value.dtype.name if value.dtype is not None else "untyped"
    return f"{kind}({', '.join(str(size) for size in (BATCH, *_sample_shape(value)))})"


def _add(
    graph: ir.Graph, branch: Branch, inputs: dict[str, ir.Value], taken: set[str | None]
) -> list[ir.Value]:
    """Moves a copy of a branch into the graph; returns its wanted outputs."""
    part = branch.model.clone().graph
    for value in part.inputs:
        ir.convenience.replace_all_uses_with(
            value, inputs[str(value.name)], replace_graph_outputs=True
        )
    ends = dict(zip((str(v.name) for v in branch.model.graph.outputs), part.outputs, strict=True))
    missing = [name for name in branch.outputs if name not in ends]
    if missing:
        raise GraphError(
            GraphReason.GRAPH_VALUE_MISSING,
            f"The graph {branch.prefix!r} has no output {missing[0]!r}.",
            advice="Slice the model again.",
            node=missing[0],
        )
    wanted = [ends[name] for name in branch.outputs]
    part.outputs.clear()
    move_nodes(part, graph, branch.prefix, taken)
    return wanted


def move_nodes(part: ir.Graph, graph: ir.Graph, prefix: str, taken: set[str | None]) -> None:
    """Moves all nodes and weights of a graph behind those of another one.

    Args:
        part: Where they come from; it is left empty.
        graph: Where they go.
        prefix: Goes before their names.
        taken: Names that are in use there; those that are given are added.
    """
    nodes, weights = list(part), list(part.initializers.values())
    part.initializers.clear()
    part.remove(nodes)
    for value in weights:
        value.name = fresh_name(f"{prefix}{value.name}", taken)
        graph.register_initializer(value)
    for node in nodes:
        node.name = f"{prefix}{node.name}"
        for value in node.outputs:
            value.name = fresh_name(f"{prefix}{value.name}", taken)
    graph.extend(nodes)
