"""The samples of one class against the rest, as training draws them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.view import TorchView
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.samples import Samples, class_weights
from slicer_svc.slicing.walk import BATCH, Minibatch, minibatches


@dataclass(frozen=True, eq=False)
class Draw:
    """Samples drawn for one gradient step.

    Attributes:
        inputs: Graph inputs by name, `(n, ...)`.
        is_class: 1 for class c, 0 for the rest, `(n,)`.
        weights: Float32 of sum one, `(n,)`.
        features: M(x), the original's features, `(n, f)`.
    """

    inputs: Mapping[str, Tensor]
    is_class: Tensor
    weights: Tensor
    features: Tensor


class ClassData:
    """All views of a model's samples, seen from one class.

    Attributes:
        target: The class c.
        batches: All views, class-weighted.
        own: Views of class c alone, weighted evenly.
    """

    def __init__(
        self, network: Network, view: TorchView, views: Samples, target: int, seed: int
    ) -> None:
        weights = class_weights(views.labels, target)
        inside = views.labels == target
        self.target = target
        self.batches = minibatches(views, weights)
        members = views.take(np.flatnonzero(inside).astype(np.int64))
        self.own = minibatches(members, np.full(len(members), 1.0 / len(members)))
        self._views = views
        self._weights = torch.from_numpy(weights)
        self._own_weights = torch.from_numpy(inside / inside.sum())
        self._features = _features(network, view, self.batches)
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def energy(self) -> float:
        """Class-weighted mean of ‖M(x)‖², 1 where it is zero: the size of a feature error."""
        energy = float(self._weights @ self._features.double().square().sum(dim=1))
        return energy if energy > 0 else 1.0

    def draw(self) -> Draw:
        """A minibatch of all classes; all views, weighted, where they are few."""
        return self._draw(self._weights)

    def draw_own(self) -> Draw:
        """A minibatch of class c alone."""
        return self._draw(self._own_weights)

    def _draw(self, weights: Tensor) -> Draw:
        candidates = torch.nonzero(weights)[:, 0]
        if len(candidates) <= BATCH:
            index, drawn = candidates, weights[candidates]
        else:
            index = torch.multinomial(weights, BATCH, replacement=True, generator=self._generator)
            drawn = torch.full((BATCH,), 1.0 / BATCH)
        rows: NDArray[np.int64] = index.numpy()
        inputs = {
            name: torch.from_numpy(np.ascontiguousarray(array[rows]))
            for name, array in self._views.inputs.items()
        }
        is_class = torch.from_numpy(self._views.labels[rows] == self.target).float()
        return Draw(inputs, is_class, drawn.float(), self._features[index])


def _features(network: Network, view: TorchView, batches: tuple[Minibatch, ...]) -> Tensor:
    name = network.classifier.feature
    with torch.no_grad():
        return torch.cat([flat(view.run(batch.inputs, fetch=[name])[name]) for batch in batches])
