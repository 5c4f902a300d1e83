"""Cutting groups, with repairs fused or as layers of their own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.groups import Consumer, Recurrence, UnitGroup, unit_groups
from onnxgraph.linear import materialise_bias
from onnxgraph.lookup import nodes_by_name
from onnxgraph.shapes import with_shapes
from onnxgraph.surgery.dropping import Chosen, drop
from onnxgraph.surgery.fusion import fuse, fuse_recurrence
from onnxgraph.surgery.layers import insert_repair, repaired_by, states_restored
from onnxgraph.surgery.types import Cut
from onnxgraph.surgery.unrolling import unroll


def cut(model: ir.Model, group: UnitGroup, cut: Cut) -> ir.Model:
    """Drops units and folds the repairs exactly into their consumers (ALGORITHM.md, section 4).

    Names of values and nodes stay, so that groups found before can be cut one after the other.

    Args:
        model: The graph; it is not changed.
        group: A group found in this graph, or in one from which only other groups were cut.
        cut: The kept units and the repairs.

    Returns:
        The smaller graph, with its parameters exactly as if units had simply been dropped.

    Raises:
        ValueError: If the cut does not fit the group, or an offset does not fold exactly.
    """
    return cut_all(model, [(group, cut)])


def cut_all(model: ir.Model, cuts: Sequence[tuple[UnitGroup, Cut]]) -> ir.Model:
    """The same as one `cut` after the other, in one pass.

    Args:
        model: The graph; it is not changed.
        cuts: Different groups with their cuts.

    Returns:
        The smaller graph.

    Raises:
        ValueError: If a cut does not fit its group, or an offset does not fold exactly.
    """
    result = with_shapes(model).clone()
    for group, chosen in cuts:
        chosen.check(group)
        for consumer in group.consumers:
            repair = chosen.repairs.get(consumer.node)
            if repair is None or repair.offset is None:
                continue
            if not consumer.offset_exact:
                raise ValueError(
                    f"an offset does not fold into '{consumer.node}': it pads with zeros"
                )
            materialise_bias(result, consumer.node)
    current = _as_they_stand(result, cuts)
    nodes = nodes_by_name(result.graph)
    for group, chosen in current:
        for consumer in group.consumers:
            repair = chosen.repairs.get(consumer.node)
            if repair is not None:
                fuse(result, nodes[consumer.node], consumer, chosen.kept, repair)
        for recurrence in group.recurrences:
            repair = chosen.recurrent.get(recurrence.node)
            if repair is not None:
                fuse_recurrence(result, nodes[recurrence.node], recurrence, chosen.kept, repair)
    drop(result, current, lambda _reader: True)
    return result


def cut_unfused(model: ir.Model, group: UnitGroup, cut: Cut) -> ir.Model:
    """The same function as `cut`, with each repair as a layer of its own (1×1 Conv, MatMul).

    A recurrent node with a repair of its own states is written out step by step.

    For proofs and tests; an offset in front of zero padding is allowed here.

    Raises:
        ValueError: If the cut does not fit the group.
    """
    cut.check(group)
    result = with_shapes(model).clone()
    nodes = nodes_by_name(result.graph)
    current = _as_they_stand(result, [(group, cut)])
    apart: list[Consumer | Recurrence] = []
    unrolled: list[tuple[ir.Node, NDArray[np.float64]]] = []
    for consumer in current[0][0].consumers:
        repair = cut.repairs.get(repaired_by(nodes[consumer.node]))
        if repair is not None:
            insert_repair(result, nodes[consumer.node], consumer, cut.kept, repair)
            apart.append(consumer)
    for recurrence in current[0][0].recurrences:
        repair = cut.recurrent.get(recurrence.node)
        if repair is not None:
            node = nodes[recurrence.node]
            unrolled.append((node, states_restored(node, recurrence, cut.kept, repair)))
            apart.append(recurrence)
    drop(result, current, lambda reader: reader not in apart)
    for node, matrix in unrolled:
        unroll(result, node, matrix)
    return result


def _as_they_stand(model: ir.Model, cuts: Chosen) -> Chosen:
    """The groups as they are in a graph from which other groups may have been cut."""
    found = {group.id: group for group in unit_groups(model)[0]}
    current: list[tuple[UnitGroup, Cut]] = []
    for group, chosen in cuts:
        here = found.pop(group.id, None)
        if here is None:
            raise ValueError(f"the graph has no unit group '{group.id}', or it is cut twice")
        if here.units != group.units:
            raise ValueError(f"'{group.id}' has {here.units} units here, not {group.units}")
        current.append((here, chosen))
    return current
