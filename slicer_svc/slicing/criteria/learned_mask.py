"""Learned kernel masks in the manner of GradSplitter (Qi et al., TOSEM 2023)."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from onnxgraph.groups import UnitGroup
from slicer_svc.slicing.class_data import ClassCase
from slicer_svc.slicing.criteria.evidence import Evidence, ranked
from slicer_svc.slicing.losses import class_cross_entropy, class_logit
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.repairs import Units

STEPS = 100
"""Gradient steps."""

RATE = 1e-3
"""Adam's learning rate (ALGORITHM.md, section 6)."""

KEPT_WEIGHT = 0.1
"""Weight of the share of kept kernels in the loss (ALGORITHM.md, section 6)."""

START = 0.05
"""Where all scalars start: half of the steps, all downwards, switch a kernel off."""


def learned_mask(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`learned_mask`: one real scalar x a unit, trained; the scalars order the units.

    Forward a unit is multiplied by 1[x > 0] wherever it is read; backward the step passes gradients
    on as hardtanh does. Adam minimises the cross-entropy of class c against the rest plus 0.1 times
    the mean share of kept units. The network's own weights stay.
    """
    case = evidence.case
    groups = case.network.groups
    scalars = [
        nn.Parameter(torch.full((group.units,), START, device=case.device)) for group in groups
    ]
    optimizer = torch.optim.Adam(scalars, lr=RATE)
    for step in range(STEPS):
        loss = _loss(case, groups, scalars, step)
        for scalar, slope in zip(scalars, torch.autograd.grad(loss, scalars), strict=True):
            scalar.grad = slope
        optimizer.step()
    learned = {
        group.id: scalar.detach().double().cpu().numpy()
        for group, scalar in zip(groups, scalars, strict=True)
    }
    return ranked(learned, counts)


def _loss(
    case: ClassCase, groups: Sequence[UnitGroup], scalars: Sequence[Tensor], step: int
) -> Tensor:
    masks = [_switched(scalar) for scalar in scalars]
    batch = case.data.mixed[step % len(case.data.mixed)]
    name = case.network.classifier.scores
    patch = _masking(groups, masks)
    scores = flat(case.view.run(batch.inputs, fetch=[name], patch=patch)[name])
    logits = class_logit(scores, case.classes)
    cross_entropy = class_cross_entropy(logits, batch.is_class, batch.weights)
    kept: Tensor = torch.stack([mask.mean() for mask in masks]).mean()
    return cross_entropy + KEPT_WEIGHT * kept


def _masking(
    groups: Sequence[UnitGroup], masks: Sequence[Tensor]
) -> dict[str, Callable[[Tensor], Tensor]]:
    """Functions on the values that consumers read, which multiply every unit by its mask."""
    found: dict[str, dict[tuple[str, int], tuple[Tensor, Tensor]]] = {}
    for group, mask in zip(groups, masks, strict=True):
        for consumer in group.consumers:
            places = torch.from_numpy(consumer.positions.copy()).to(mask.device)
            by_group = found.setdefault(consumer.value, {})
            by_group[group.id, consumer.unit_axis] = places, mask

    def masked(masking: Mapping[tuple[str, int], tuple[Tensor, Tensor]]) -> Callable[..., Tensor]:
        def patch(value: Tensor) -> Tensor:
            for (_, axis), (places, mask) in masking.items():
                moved = value.movedim(axis, -1)
                factors = moved.new_ones(moved.shape[-1]).index_copy(
                    0, places.reshape(-1), mask.repeat_interleave(places.shape[1])
                )
                value = (moved * factors).movedim(-1, axis)
            return value

        return patch

    return {value: masked(masking) for value, masking in found.items()}


def _switched(scalar: Tensor) -> Tensor:
    """1[x > 0], with the derivative of hardtanh."""
    smooth = functional.hardtanh(scalar)
    return (scalar > 0).to(scalar.dtype) + smooth - smooth.detach()
