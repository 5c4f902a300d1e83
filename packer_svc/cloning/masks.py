"""Localisation by learned masks: which units of a source its wanted classes need.

One real number x a unit; the unit is kept where x > 0. The step is passed straight through in the
backward pass, with the slope of hardtanh; the weights stay as they are. The loss is the source's
own cross-entropy on its samples, of which the wanted classes make up two thirds, and a tenth of
the share of units that are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onnxgraph.classifier import SCORES
from onnxgraph.groups import UnitGroup, unit_groups
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from onnxgraph.surgery import Cut, cut_all
from onnxgraph.view import Patch, TorchView
from packer_svc.fusion.samples import PackSamples

STEPS = 200
"""Steps of Adam: what is not needed falls below 0 within about a hundred."""
LEARNING_RATE = 1e-3
START = 0.1
"""Where every number begins, a little more or less."""
PRICE = 0.1
"""Of the share of units that are kept."""
WANTED = 2 / 3
"""The weight of the wanted classes together."""
BATCH = 64


@dataclass(frozen=True, eq=False)
class Masked:
    """A source's part.

    Attributes:
        graph: A fragment.
        kept: By group of units how many stay, and of how many; None where a slicer cut it.
    """

    graph: bytes
    kept: Mapping[str, tuple[int, int]] | None


def masked(source: bytes, samples: PackSamples, wanted: tuple[int, ...], seed: int) -> Masked:
    """Finds the units that classes need, and cuts the others off.

    Args:
        source: The whole source, with the outputs of a fragment.
        samples: Of all of its classes, labelled as its scores are.
        wanted: The classes.
        seed: Of the first numbers and of the batches.

    Raises:
        GraphError: An operator cannot be run in torch.
    """
    model = from_trusted_bytes(source)
    groups, _ = unit_groups(model)
    if not groups:
        return Masked(source, {})
    view = TorchView(model).requires_grad_(requires_grad=False)
    random = torch.Generator().manual_seed(seed)
    numbers = [START * (0.5 + torch.rand(group.units, generator=random)) for group in groups]
    _train(
        view, groups, [one.requires_grad_() for one in numbers], _Shown.of(samples, wanted), random
    )
    kept = [_kept(one.detach()) for one in numbers]
    cuts = [
        (group, Cut(units))
        for group, units in zip(groups, kept, strict=True)
        if len(units) < group.units
    ]
    left = {group.id: (len(units), group.units) for group, units in zip(groups, kept, strict=True)}
    return Masked(to_bytes(cut_all(model, cuts)) if cuts else source, left)


@dataclass(frozen=True, eq=False)
class _Shown:
    """Samples as tensors, with the weight of each."""

    inputs: Mapping[str, Tensor]
    labels: Tensor
    weights: Tensor

    @classmethod
    def of(cls, samples: PackSamples, wanted: tuple[int, ...]) -> _Shown:
        inside = np.isin(samples.labels, wanted)
        weights = np.where(inside, WANTED / max(inside.sum(), 1), 0.0)
        weights += np.where(inside, 0.0, (1 - WANTED) / max((~inside).sum(), 1))
        return cls(
            {name: torch.from_numpy(np.array(array)) for name, array in samples.inputs.items()},
            torch.from_numpy(samples.labels),
            torch.from_numpy(weights * len(weights)).float(),
        )


def _train(
    view: TorchView,
    groups: tuple[UnitGroup, ...],
    numbers: list[Tensor],
    shown: _Shown,
    random: torch.Generator,
) -> None:
    optimizer = torch.optim.Adam(numbers, LEARNING_RATE)
    for _ in range(STEPS):
        chosen = torch.randperm(len(shown.labels), generator=random)[:BATCH]
        steps = [_step(one) for one in numbers]
        patch = {group.value: _mask(group, step) for group, step in zip(groups, steps, strict=True)}
        inputs = {name: array[chosen] for name, array in shown.inputs.items()}
        scores = view.run(inputs, fetch=(SCORES,), patch=patch)[SCORES]
        losses = torch.nn.functional.cross_entropy(scores, shown.labels[chosen], reduction="none")
        price = PRICE * torch.cat(steps).mean()
        optimizer.zero_grad()
        loss: Any = (losses * shown.weights[chosen]).mean() + price
        loss.backward()
        optimizer.step()


def _step(numbers: Tensor) -> Tensor:
    """1 where a number is above 0, else 0; backwards the slope of hardtanh."""
    soft = torch.nn.functional.hardtanh(numbers)
    return (numbers > 0).to(soft.dtype) + soft - soft.detach()


def _mask(group: UnitGroup, step: Tensor) -> Patch:
    """Multiplies the places of units on their axis; other places stay."""
    places = torch.from_numpy(np.array(group.places))

    def apply(value: Tensor) -> Tensor:
        factors = torch.ones(value.shape[group.unit_axis], dtype=value.dtype)
        factors = factors.index_copy(
            0, places.reshape(-1), step.repeat_interleave(places.shape[1]).to(value.dtype)
        )
        shape = [1] * value.dim()
        shape[group.unit_axis] = -1
        return value * factors.reshape(shape)

    return apply


def _kept(numbers: Tensor) -> np.ndarray:
    """The units above 0, at least one."""
    above = np.flatnonzero(numbers.numpy() > 0)
    return above if len(above) else np.array([int(numbers.argmax())])
