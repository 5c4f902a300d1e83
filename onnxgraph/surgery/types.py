"""What is kept of a group and how its consumers are repaired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from onnxgraph.groups import UnitGroup
from onnxgraph.operators.units import Indices


@dataclass(frozen=True, eq=False)
class Repair:
    """â = R · a_S + r₀: all units of a group restored from the kept ones at one consumer.

    Attributes:
        matrix: R, `(units, kept)`.
        offset: r₀, `(units,)`, or None for none. Only where the consumer's `offset_exact` holds.
    """

    matrix: NDArray[np.floating]
    offset: NDArray[np.floating] | None = None


@dataclass(frozen=True, eq=False)
class Cut:
    """Which units of a group stay.

    Attributes:
        kept: `(kept,)` int64, sorted numbers of units, at least one.
        repairs: By name of the consumer node; a consumer without one just loses the units.
        recurrent: By name of the recurrent node, of what it reads of its own units. No offset: the
            first state is none of its outputs.
    """

    kept: Indices
    repairs: Mapping[str, Repair] = field(default_factory=dict)
    recurrent: Mapping[str, Repair] = field(default_factory=dict)

    def check(self, group: UnitGroup) -> None:
        """Refuses a cut that does not fit a group.

        Raises:
            ValueError: If units are unsorted, repeated or out of range, a repair names no
                consumer, or a repair has the wrong shape.
        """
        kept = np.asarray(self.kept)
        if kept.ndim != 1 or not kept.size or not np.issubdtype(kept.dtype, np.integer):
            raise ValueError(f"kept units of '{group.id}' must be a non-empty list of integers")
        if (np.diff(kept) <= 0).any() or kept[0] < 0 or kept[-1] >= group.units:
            raise ValueError(f"kept units of '{group.id}' must rise within 0 … {group.units - 1}")
        unknown = set(self.repairs) - {consumer.node for consumer in group.consumers}
        unknown |= set(self.recurrent) - {found.node for found in group.recurrences}
        if unknown:
            raise ValueError(f"'{group.id}' has no consumers {sorted(unknown)}")
        for node, repair in self.recurrent.items():
            if repair.offset is not None:
                raise ValueError(f"an offset does not fold into the recurrent matrix of '{node}'")
        for node, repair in (*self.repairs.items(), *self.recurrent.items()):
            if repair.matrix.shape != (group.units, kept.size):
                raise ValueError(f"the repair at '{node}' must be ({group.units}, {kept.size})")
            if repair.offset is not None and repair.offset.shape != (group.units,):
                raise ValueError(f"the offset at '{node}' must be ({group.units},)")
