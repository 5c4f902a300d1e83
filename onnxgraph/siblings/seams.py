"""Where layers that run as one meet others: their values have to be joined and parted there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxgraph.siblings.find import HEAVY, Layout, Siblings, depths_of

Members = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where siblings stand among all siblings of a graph.

    Attributes:
        depth: Heavy layers before them on the longest way.
        before: What joined siblings read: by place those siblings whose values, all of them and in
            their order, theirs are made of; None where they are made of anything else.
        behind: The places of siblings that read any of theirs; None for another layer, unless it
            reads all of theirs in their order, as the head of a pack does.
    """

    depth: int
    before: tuple[int | None, ...]
    behind: frozenset[int | None]


def places_of(graph: ir.Graph, groups: Sequence[Siblings]) -> list[Place]:
    """Finds how siblings follow each other.

    What stands between heavy layers (rectifiers, pools, sums) is taken to keep branches apart.

    Args:
        graph: The graph, its nodes in order.
        groups: Its siblings.
    """
    depths, nearest = depths_of(graph), _nearest(graph)
    group_of = {id(node): place for place, one in enumerate(groups) for node in one.members}
    place_of = {_ids(one.members): place for place, one in enumerate(groups)}
    readers: list[set[int | None]] = [set() for _ in groups]
    for node in graph:
        if node.op_type not in HEAVY:
            continue
        own, read = group_of.get(id(node)), _ids(nearest[id(node)])
        for place in {group_of[one] for one in read if one in group_of}:
            if own is not None or not _is_within(_ids(groups[place].members), read):
                readers[place].add(own)
    found = []
    for one, behind in zip(groups, readers, strict=True):
        ways = [_ids(nearest[id(node)]) for node in one.members]
        alike = len({len(way) for way in ways}) == 1
        before = tuple(place_of.get(column) for column in zip(*ways, strict=True)) if alike else ()
        found.append(Place(depths[id(one.members[0])], before, frozenset(behind)))
    return found


def is_entered(place: Place, siblings: Siblings, joined: Collection[int]) -> bool:
    """Whether joined siblings need a Concat before them.

    Args:
        place: Where they stand.
        siblings: What they are.
        joined: The places of all that are joined.
    """
    if Layout.STACKED in siblings.layouts:
        return False
    return not place.before or any(one not in joined for one in place.before)


def is_left(at: int, places: Sequence[Place], joined: Collection[int]) -> bool:
    """Whether joined siblings need a Split behind them.

    At the end of a graph they need none: what is joined there is what was asked for.

    Args:
        at: Their place.
        places: Of all siblings.
        joined: The places of all that are joined.
    """
    return any(
        reader is None or reader not in joined or at not in places[reader].before
        for reader in places[at].behind
    )


def _ids(nodes: Sequence[ir.Node]) -> Members:
    return tuple(id(node) for node in nodes)


def _is_within(part: Members, whole: Members) -> bool:
    return any(whole[start : start + len(part)] == part for start in range(len(whole)))


def _nearest(graph: ir.Graph) -> dict[int, tuple[ir.Node, ...]]:
    """Of every node the heavy ones that it hangs on with no other between, as they are read."""
    nearest: dict[int, tuple[ir.Node, ...]] = {}
    for node in graph:
        found: dict[int, ir.Node] = {}
        for value in node.inputs:
            producer = value.producer() if value is not None else None
            if producer is not None:
                heavy = producer.op_type in HEAVY
                for one in (producer,) if heavy else nearest[id(producer)]:
                    found[id(one)] = one
        nearest[id(node)] = tuple(found.values())
    return nearest
