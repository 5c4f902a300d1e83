"""What distances say of classes."""

from __future__ import annotations

import numpy as np
import pytest

from specification.scoring import near


@pytest.mark.parametrize(
    ("excess", "share", "fits"),
    [
        (1.4, 1.0, True),
        (1.5, 0.41, False),
        (1.5, 0.39, True),
        (1.79, 0.39, True),
        (1.81, 0.39, False),
        (5.0, 0.14, True),
    ],
)
def test_a_class_fits_by_chance_by_its_distance_or_by_both_a_little(
    excess: float, share: float, fits: bool
) -> None:
    chance = np.array([0.5])
    squared = np.array([[excess]])
    apart = np.array([max(excess - 1.0, 0.0) / share])
    assert near(squared, chance, chance, apart).tolist() == [[fits]]
