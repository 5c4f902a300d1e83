"""Mean |activation| of units: what the paper's selection looks at (Eq. 5 and 6)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing.measures import unit_outputs
from slicer_svc.slicing.walk import Minibatch

Run = Callable[[Mapping[str, Tensor], Sequence[str]], Mapping[str, Tensor]]
"""Graph inputs and names of values to those values."""


def mean_activations(
    run: Run, groups: Sequence[UnitGroup], batches: Sequence[Minibatch]
) -> dict[str, NDArray[np.float64]]:
    """Weighted mean over samples, and mean over positions, of every unit's |output|.

    Args:
        run: The network.
        groups: The groups looked at.
        batches: Samples with weights; those of weight zero do not count.

    Returns:
        By group, float64 `(u,)`.
    """
    sums = {group.id: torch.zeros(group.units, dtype=torch.float64) for group in groups}
    total = sum(float(batch.weights.sum()) for batch in batches)
    fetch = [group.value for group in groups]
    for batch in batches:
        with torch.no_grad():
            values = run(batch.inputs, fetch)
        for group in groups:
            by_sample = _by_sample(values[group.value], group)
            sums[group.id] += batch.weights.double() @ by_sample.double()
    return {name: (found / total).numpy() for name, found in sums.items()}


def _by_sample(value: Tensor, group: UnitGroup) -> Tensor:
    """Mean |output| of every unit over its places and positions, `(n, u)`."""
    return unit_outputs(value, group).abs().mean(dim=2)
