"""Activations of units: what the paper's selection (Eq. 5 and 6) and other criteria look at."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing.walk import Minibatch

Run = Callable[[Mapping[str, Tensor], Sequence[str]], Mapping[str, Tensor]]
"""Graph inputs and names of values to those values."""


def unit_outputs(group: UnitGroup, value: Tensor, samples: int) -> Tensor:
    """The group's own value by unit.

    Args:
        group: The units.
        value: What the network computes for `group.value`.
        samples: n. Exporters merge positions into the batch, samples in front.

    Returns:
        `(n, u, positions)`; all places of a unit are positions.
    """
    places = torch.as_tensor(np.array(group.places), device=value.device)
    units = value.movedim((group.sample_axis, group.unit_axis), (0, 1))[:, places]
    by_sample = units.reshape(samples, -1, *units.shape[1:])
    return by_sample.movedim(1, 2).flatten(start_dim=2)


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
    sums = {group.id: np.zeros(group.units) for group in groups}
    total = sum(float(batch.weights.sum()) for batch in batches)
    fetch = [group.value for group in groups]
    for batch in batches:
        with torch.no_grad():
            values = run(batch.inputs, fetch)
            for group in groups:
                by_sample = mean_magnitude(
                    unit_outputs(group, values[group.value], len(batch.weights))
                )
                sums[group.id] += (batch.weights.double() @ by_sample).cpu().numpy()
    return {name: found / total for name, found in sums.items()}


def mean_magnitude(outputs: Tensor) -> Tensor:
    """Mean over positions of every unit's |output|, float64 `(n, u)`."""
    return outputs.abs().mean(dim=2).double()
