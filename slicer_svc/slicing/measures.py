"""How far what a sliced network computes is from the original's."""

import numpy as np
import torch
from torch import Tensor

from onnxgraph.groups import UnitGroup


class RelativeError:
    """Weighted Σ‖p − r‖² / Σ‖r‖² over minibatches."""

    def __init__(self) -> None:
        self._missed = 0.0
        self._energy = 0.0

    def add(self, predicted: Tensor, reference: Tensor, weights: Tensor) -> None:
        """Adds a minibatch.

        Args:
            predicted: Values of the sliced network, `(n, ...)`.
            reference: Values of the original, of the same shape.
            weights: One weight per sample, `(n,)`.
        """
        by_sample = weights.to(predicted.device).double()
        difference = (predicted.double() - reference.double()).flatten(start_dim=1)
        self._missed += float(by_sample @ difference.square().sum(dim=1))
        energy = reference.double().flatten(start_dim=1).square().sum(dim=1)
        self._energy += float(by_sample @ energy)

    @property
    def share(self) -> float:
        """The error; 0 where the reference is zero and met, 1 where it is zero and missed."""
        if self._energy > 0:
            return self._missed / self._energy
        return 0.0 if self._missed == 0 else 1.0


def flat(values: Tensor) -> Tensor:
    """One row per sample, `(n, f)`."""
    return torch.flatten(values, start_dim=1)


def unit_outputs(value: Tensor, group: UnitGroup) -> Tensor:
    """What every unit of a group gives for each sample.

    Args:
        value: The group's value, samples first.
        group: The group.

    Returns:
        `(n, units, rest)`: over a unit's own places (of a head, or of a group of channels) and over
        positions.
    """
    places = torch.from_numpy(np.array(group.places))
    units = value.movedim(group.unit_axis, 1)[:, places]
    return units.reshape(len(value), len(places), -1)
