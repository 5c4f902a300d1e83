"""An adapter trained on: what the part says behind it is to be what the part said in its source.

The weights of target and part stay as they are. The loss is the mean squared error of the part's
features, over their variance, and the Kullback-Leibler divergence of its scores from the source's:
both need no label, and no more than the samples.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from onnxgraph.classifier import FEATURES, SCORES
from onnxgraph.halves import INPUT
from onnxgraph.view import TorchView
from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.stitches import Stitch, apply

STEPS = 60
"""Steps of Adam."""
LEARNING_RATE = 1e-3
BATCH = 64


def distilled(
    start: Stitch, rest: ir.Model, read: Tensor, wanted: FragmentFeatures, seed: int
) -> Stitch:
    """An adapter trained from where the closed form left it.

    Args:
        start: The closed form.
        rest: The part behind the adapter, from `INPUT`.
        read: The target's tensor on samples `(n, C, …)`, at the size of the part's.
        wanted: What the whole part says of the same samples.
        seed: Of the batches.

    Raises:
        GraphError: An operator cannot be run in torch.
    """
    view = TorchView(rest).requires_grad_(requires_grad=False)
    weight = torch.from_numpy(start.weight).float().requires_grad_()
    bias = torch.from_numpy(start.bias).float().requires_grad_()
    features = torch.from_numpy(wanted.features)
    scores = torch.log_softmax(torch.from_numpy(wanted.scores), dim=1)
    spread = features.var(dim=0).mean().clamp_min(1e-12)
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([weight, bias], LEARNING_RATE)
    for _ in range(STEPS):
        chosen = torch.randperm(len(read), generator=random)[:BATCH]
        fed = apply(read[chosen], weight, bias)
        fed = fed.relu() if start.rectified else fed
        found = view.run({INPUT: fed}, fetch=(FEATURES, SCORES))
        error = torch.nn.functional.mse_loss(found[FEATURES], features[chosen]) / spread
        said = torch.log_softmax(found[SCORES], dim=1)
        divergence = torch.nn.functional.kl_div(
            said, scores[chosen], reduction="batchmean", log_target=True
        )
        optimizer.zero_grad()
        loss: Tensor = error + divergence
        loss.backward()
        optimizer.step()
    kept = [one.detach().numpy().astype(np.float64) for one in (weight, bias)]
    return replace(start, weight=kept[0], bias=kept[1])
