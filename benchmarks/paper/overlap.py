"""How many units the fragments of two classes have in common (the paper's Figure 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Units = NDArray[np.int64]


@dataclass(frozen=True)
class Overlap:
    """Intersection over union of kept units.

    Attributes:
        classes: Class indices in the model.
        groups: Groups that are cut, from the front to the back.
        iou: By group, `(classes, classes)`, to four decimals.
    """

    classes: tuple[int, ...]
    groups: tuple[str, ...]
    iou: tuple[tuple[tuple[float, ...], ...], ...]


def unit_overlap(kept: Mapping[int, Mapping[str, Units]]) -> Overlap:
    """Compares every two classes of a model in every group.

    Args:
        kept: By class index and group, the kept units.
    """
    classes = tuple(sorted(kept))
    groups = tuple(kept[classes[0]])
    return Overlap(
        classes,
        groups,
        tuple(
            tuple(
                tuple(_iou(kept[left][group], kept[right][group]) for right in classes)
                for left in classes
            )
            for group in groups
        ),
    )


def _iou(left: Units, right: Units) -> float:
    share = len(np.intersect1d(left, right)) / len(np.union1d(left, right))
    return round(share, 4)
