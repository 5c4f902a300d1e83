"""Which cuts to measure, so that every node is seen at all pairs of shares read and written."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing.blocks import fitting_grain, machine_block

SHARES = (1.0, 0.5, 0.25, 0.125)
"""Shares of a group's units that are measured."""

EVEN_SHARES = (1.0, 0.75, 0.5, 0.25, 0.125)
"""Shares that all groups are cut to alike, the whole model first."""

COLUMNS = 5
"""Columns of the design: as many kinds of groups can differ from each other."""

_PRODUCTS = ((0, 0, 0, 0), (0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2))
"""Products in the field of four elements; its sums are exclusive ors."""


def orthogonal_array() -> NDArray[np.int64]:
    """The orthogonal array OA(16, 5, 4, 2), `(16, 5)`, of levels 0 to 3 (Bose, 1938).

    Any two columns hold every pair of levels once. The first row is all zeros.
    """
    rows = [
        [a, b, *(a ^ _PRODUCTS[factor][b] for factor in (1, 2, 3))]
        for a in range(4)
        for b in range(4)
    ]
    return np.array(rows, dtype=np.int64)


def designs(
    groups: Sequence[UnitGroup], meetings: Iterable[tuple[str, str]]
) -> list[Mapping[str, int]]:
    """Counts of all groups for every cut that is measured, the whole model first.

    Args:
        groups: The groups.
        meetings: Pairs of groups of which a node reads the one and writes the other: as far as
            five columns allow, they are cut independently of each other.

    Returns:
        16 sets of counts, by group.
    """
    columns = _columns([group.id for group in groups], meetings)
    block = machine_block()
    found: list[Mapping[str, int]] = []
    for row in orthogonal_array():
        shares = {group.id: SHARES[row[columns[group.id]]] for group in groups}
        found.append({group.id: _count(group, shares[group.id], block) for group in groups})
    return found


def even_versions(groups: Sequence[UnitGroup]) -> list[Mapping[str, int]]:
    """Counts of all groups for every version that all are cut in alike, the whole model first."""
    block = machine_block()
    return [{group.id: _count(group, share, block) for group in groups} for share in EVEN_SHARES]


def _count(group: UnitGroup, share: float, block: int) -> int:
    grain = fitting_grain(group, block)
    return group.units if share == 1.0 else max(1, round(share * group.units / grain)) * grain


def _columns(groups: Sequence[str], meetings: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Colours the groups greedily, those that meet most others first."""
    met: dict[str, set[str]] = {group: set() for group in groups}
    for one, other in meetings:
        if one != other:
            met[one].add(other)
            met[other].add(one)
    columns: dict[str, int] = {}
    for group in sorted(groups, key=lambda group: -len(met[group])):
        taken = [columns[other] for other in met[group] if other in columns]
        columns[group] = min(range(COLUMNS), key=taken.count)
    return columns
