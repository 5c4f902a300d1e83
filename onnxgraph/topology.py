"""Does every value of a graph have a source, and is the graph acyclic and in order?"""

from collections import deque
from collections.abc import Sequence

from onnx import GraphProto, NodeProto

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.tensors import invalid


def check_topology(graph: GraphProto) -> None:
    """Checks that every value read is provided, and before it is read.

    Args:
        graph: A graph without subgraphs whose value names are unique.

    Raises:
        GraphError: `GRAPH_VALUE_MISSING`, `GRAPH_CYCLE`, or `GRAPH_INVALID` for nodes that are
            out of order; names the node.
    """
    names = [_name(node, position) for position, node in enumerate(graph.node)]
    given = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    produced = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    for name in given & produced.keys():
        raise invalid(f"Node {names[produced[name]]!r} writes the input {name!r}.", name)
    for position, node in enumerate(graph.node):
        for name in node.input:
            if name and name not in given and name not in produced:
                raise _missing(f"Node {names[position]!r} reads {name!r}", name)
    for value in graph.output:
        if value.name not in given and value.name not in produced:
            raise _missing(f"The graph returns {value.name!r}", value.name)
    _check_acyclic(graph.node, produced, names)
    for position, node in enumerate(graph.node):
        late = [name for name in node.input if name in produced and produced[name] >= position]
        if late:
            raise invalid(
                f"Node {names[position]!r} stands before the source of {late[0]!r}.", None
            )


def _check_acyclic(
    nodes: Sequence[NodeProto], produced: dict[str, int], names: Sequence[str]
) -> None:
    """Kahn's topological sort; what is left over lies on, or behind, a cycle."""
    sources = [{produced[name] for name in node.input if name in produced} for node in nodes]
    readers: list[list[int]] = [[] for _ in nodes]
    for reader, found in enumerate(sources):
        for source in found:
            readers[source].append(reader)
    waiting = [len(found) for found in sources]
    ready = deque(position for position, count in enumerate(waiting) if not count)
    while ready:
        for reader in readers[ready.popleft()]:
            waiting[reader] -= 1
            if not waiting[reader]:
                ready.append(reader)
    left = next((position for position, count in enumerate(waiting) if count), None)
    if left is None:
        return
    cycle = _cycle(left, sources, waiting)
    path = " -> ".join(names[position] for position in cycle[:8])
    raise GraphError(
        GraphReason.GRAPH_CYCLE,
        f"The nodes {path} form a cycle.",
        advice="Export the model again: an ONNX graph must be acyclic.",
        node=names[cycle[0]],
    )


def _cycle(start: int, sources: Sequence[set[int]], waiting: Sequence[int]) -> list[int]:
    """Walks back from a node that never became ready until one repeats."""
    path = [start]
    seen = {start: 0}
    while True:
        source = min(s for s in sources[path[-1]] if waiting[s])
        if source in seen:
            return path[seen[source] :][::-1]
        seen[source] = len(path)
        path.append(source)


def _name(node: NodeProto, position: int) -> str:
    return node.name or f"{node.op_type}#{position}"


def _missing(what: str, name: str) -> GraphError:
    return GraphError(
        GraphReason.GRAPH_VALUE_MISSING,
        f"{what}, which no node, input or initializer provides.",
        advice="Export the model again with its weights in the file.",
        node=name,
        metadata={"value": name},
    )
