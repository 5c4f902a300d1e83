"""How far what a sliced network computes is from the original's."""

import torch
from torch import Tensor


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
