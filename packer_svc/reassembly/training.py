"""Stitches trained further by gradients; the blocks stay as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from onnxgraph.classifier import FEATURES, SCORES
from packer_svc.fusion.stitches import Stitch, apply, resized
from packer_svc.reassembly.cutting import BATCH
from packer_svc.reassembly.network import Network, ends_of
from packer_svc.reassembly.reassemble import Wish

RATE = 1e-3
"""Adam's learning rate."""
TELL = 50
"""Steps from one report to the next."""


def trained(
    network: Network, wish: Wish, steps: int, report: Callable[[int, int], None]
) -> Network:
    """Trains stitches and a linear classifier behind them by cross-entropy on the samples.

    The classifier is thrown away: the head of the pack is fitted in closed form.

    Args:
        network: The network.
        wish: Its samples and their labels.
        steps: Gradient steps.
        report: Told steps done and in all.

    Returns:
        The network with new stitches; itself where it has none.
    """
    if not any(network.stitches):
        return network
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(wish.seed)
        module = _Trained(network, wish.classes)
        inputs = {n: torch.from_numpy(np.ascontiguousarray(a)) for n, a in wish.inputs.items()}
        labels = torch.from_numpy(wish.labels)
        optimizer = torch.optim.Adam(module.parameters(), RATE)
        for done in range(steps):
            if done % TELL == 0:
                report(done, steps)
            rows = torch.randperm(len(labels))[:BATCH]
            scores = module({name: tensor[rows] for name, tensor in inputs.items()})
            loss = nn.functional.cross_entropy(scores, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return module.network()


class _Trained(nn.Module):
    """A network whose stitches and classifier are parameters."""

    def __init__(self, network: Network, classes: int) -> None:
        super().__init__()
        self._network = network
        self._weights = nn.ParameterDict()
        for place, stitch in enumerate(network.stitches):
            if stitch is not None:
                for name in ("weight", "bias"):
                    start = torch.from_numpy(getattr(stitch, name)).float()
                    self._weights[f"{name}{place}"] = nn.Parameter(start)
        last = network.models[network.blocks[-1].model]
        self._norm = nn.BatchNorm1d(last.features + last.classes)
        self._classifier = nn.Linear(last.features + last.classes, classes)

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Scores `(n, classes)` of the wanted classes."""
        value: Tensor | None = None
        found: dict[str, Tensor] = {}
        stitches = self._network.stitches
        for place, (block, stitch) in enumerate(zip(self._network.blocks, stitches, strict=True)):
            model = self._network.models[block.model]
            if value is not None and stitch is not None:
                value = self._stitch(value, stitch, place)
            start = {} if value is None else {model.pieces[block.first].start: value}
            fed = inputs if value is None else {}
            found = model.view.run(fed, fetch=ends_of(model, block), start=start)
            value = next(iter(found.values()))
        both = torch.cat([found[FEATURES].flatten(1), found[SCORES].flatten(1)], dim=1)
        scores: Tensor = self._classifier(self._norm(both))
        return scores

    def _stitch(self, value: Tensor, stitch: Stitch, place: int) -> Tensor:
        weight, bias = self._weights[f"weight{place}"], self._weights[f"bias{place}"]
        found = apply(resized(value, stitch.makes), weight, bias)
        return found.relu() if stitch.rectified else found

    def network(self) -> Network:
        """The network with the stitches as they are now."""
        stitches: list[Stitch | None] = []
        for place, stitch in enumerate(self._network.stitches):
            if stitch is None:
                stitches.append(None)
                continue
            weight, bias = (
                self._weights[f"{name}{place}"].detach().double().numpy()
                for name in ("weight", "bias")
            )
            stitches.append(replace(stitch, weight=weight, bias=bias))
        return replace(self._network, stitches=tuple(stitches))
