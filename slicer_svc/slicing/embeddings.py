"""Units that a table of embeddings gives: they stay whole (ALGORITHM.md, text trial)."""

from collections.abc import Iterable

import onnx_ir as ir

from onnxgraph.groups import UnitGroup, WholePart
from onnxgraph.lookup import nodes_by_name

LOOKUP = "Gather"
"""What reads rows of a table by computed numbers."""


def set_apart(
    model: ir.Model, groups: Iterable[UnitGroup]
) -> tuple[tuple[UnitGroup, ...], tuple[WholePart, ...]]:
    """Parts groups into those that may be cut and those that a table of embeddings gives.

    A column of an embedding is judged, and its loss made up for, on the tokens that the samples
    happen to hold, a few of thousands: a cut with hardly any error on the samples can be far off
    on every other sentence. So these columns are not cut.

    Args:
        model: The normalised model.
        groups: Its groups.

    Returns:
        The groups that may be cut, and the others as parts that stay whole, both in their order.
    """
    nodes = nodes_by_name(model.graph)
    cut: list[UnitGroup] = []
    whole: list[WholePart] = []
    for group in groups:
        tables = [name for name in group.producers if nodes[name].op_type == LOOKUP]
        if tables:
            whole.append(WholePart(group.producers, _reason(nodes[tables[0]])))
        else:
            cut.append(group)
    return tuple(cut), tuple(whole)


def _reason(lookup: ir.Node) -> str:
    table = lookup.inputs[0]
    assert table is not None
    assert table.shape is not None
    return (
        f"few samples hold few of the {table.shape[0]} rows of the table that {lookup.name} reads: "
        "columns of an embedding are not cut"
    )
