"""What is kept of features."""

import numpy as np
import torch

from packer_svc.reassembly.similarity import GRID, gridded, pooled


def test_means_forget_where_things_are_and_fields_do_not() -> None:
    maps = torch.zeros(2, 3, 8, 8)
    maps[0, :, 0, 0] = maps[1, :, 7, 7] = 1.0
    np.testing.assert_array_equal(*pooled(maps))
    first, second = gridded(maps)
    assert first.shape == (3 * GRID * GRID,)
    assert not np.array_equal(first, second)


def test_small_maps_stay_whole_and_sequences_are_averaged() -> None:
    maps = torch.arange(24, dtype=torch.float32).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(gridded(maps), maps.flatten(1).numpy())
    tokens = torch.arange(24, dtype=torch.float32).reshape(2, 4, 3)
    for found in (gridded(tokens), pooled(tokens)):
        np.testing.assert_allclose(found, tokens.mean(dim=1).numpy())
    assert pooled(torch.ones(2, 5)).shape == (2, 5)
