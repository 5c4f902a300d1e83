"""What the class's loss would lose with a unit, to first order (Molchanov et al., ICLR 2017)."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from slicer_svc.slicing.activations import unit_outputs
from slicer_svc.slicing.criteria.evidence import Evidence, ranked
from slicer_svc.slicing.losses import class_cross_entropy, class_logit
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.repairs import Units


def class_taylor(evidence: Evidence, counts: Mapping[str, int]) -> dict[str, Units]:
    """`class_taylor`: Σ_x w(x)·|Σ a·∂ℓ/∂a|, the inner sum over a unit's positions on a sample.

    Θ_TE of Pruning Convolutional Neural Networks, Eq. 7 and 8, with the loss of class c against
    the rest (ℓ_ce of Slice-and-Pack's Eq. 8) and its class weights.
    """
    case = evidence.case
    groups, name = case.network.groups, case.network.classifier.scores
    scores = {group.id: np.zeros(group.units) for group in groups}
    fetch = [name, *(group.value for group in groups)]
    for batch in case.data.mixed:
        followed = dict.fromkeys(dict.fromkeys(fetch[1:]), _followed)
        values = case.view.run(batch.inputs, fetch=fetch, patch=followed)
        logits = class_logit(flat(values[name]), case.classes)
        loss = class_cross_entropy(logits, batch.is_class, torch.ones_like(batch.weights))
        found = [values[group.value] for group in groups]
        slopes = torch.autograd.grad(loss, found)
        for group, value, slope in zip(groups, found, slopes, strict=True):
            outputs = unit_outputs(group, (value * slope).detach(), len(batch.weights))
            effect = outputs.sum(dim=2).abs()
            scores[group.id] += (batch.weights @ effect).cpu().double().numpy()
    return ranked(scores, counts)


def _followed(value: Tensor) -> Tensor:
    """The value, with a gradient even where nothing before it has one."""
    return value if value.requires_grad else value.requires_grad_()
