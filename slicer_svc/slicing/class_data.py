"""The samples of one class, or of a few, against the rest, as training sees them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.view import TorchView
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import Samples, class_weights
from slicer_svc.slicing.walk import BATCH, Minibatch

OTHERS = 2
"""Views of other classes that training looks at, for each view of class c, at most."""


@dataclass(frozen=True)
class ClassBatch(Minibatch):
    """A minibatch of one gradient step.

    Its inherited `inputs` and `weights` (float32, of sum one) are on the case's device.

    Attributes:
        is_class: 1 for the classes of the case, 0 for the rest, `(n,)`.
        features: M(x), the original's features, `(n, f)`.
    """

    is_class: Tensor
    features: Tensor


@dataclass(frozen=True, eq=False)
class ClassCase:
    """Classes of a model, mostly one: what every criterion and adaptation may look at.

    What the paper says of class c holds for all samples of the classes together.

    Attributes:
        network: The model.
        view: A view of that model, never changed; its device is where all work is done.
        views: All views of the model's samples.
        classes: The classes that the model is cut to, rising; each has a sample.
        recipe: Settings.
    """

    network: Network
    view: TorchView
    views: Samples
    classes: tuple[int, ...]
    recipe: Recipe

    @property
    def device(self) -> torch.device:
        """Where the model runs."""
        return next(self.view.parameters()).device

    @cached_property
    def data(self) -> "ClassData":
        """The samples in minibatches for training, made when first asked for."""
        return ClassData(self)


class ClassData:
    """Views of a model's samples in fixed minibatches, the same at every epoch.

    Every minibatch holds its share of the classes and of the others, so that what the network
    computes in front of a layer can be kept for it (`prefix.py`). Where there are many classes, a
    random choice of the other classes' views is looked at.

    Attributes:
        mixed: The case's classes and the rest; they weigh twice the sum of the others.
        own: All views of these classes alone, each class weighing the same.
    """

    def __init__(self, case: ClassCase) -> None:
        wanted = np.isin(case.views.labels, case.classes)
        inside, others = np.flatnonzero(wanted), np.flatnonzero(~wanted)
        random = np.random.default_rng([case.recipe.seed, *case.classes])
        random.shuffle(inside)
        random.shuffle(others)
        others = others[: OTHERS * len(inside)]
        parts = -(-(len(inside) + len(others)) // BATCH)
        self.mixed = tuple(_batches(case, _dealt(parts, inside, others)))
        self.own = tuple(_batches(case, _dealt(-(-len(inside) // BATCH), inside)))

    @cached_property
    def energy(self) -> float:
        """Class-weighted mean of ‖M(x)‖², 1 where it is zero: the size of a feature error."""
        squares = [batch.weights @ batch.features.square().sum(dim=1) for batch in self.mixed]
        energy = float(torch.stack(squares).mean())
        return energy if energy > 0 else 1.0


def _dealt(parts: int, *heaps: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Each heap dealt out evenly; a part that would get nothing of the first heap is left out."""
    parts = min(parts, len(heaps[0]))
    return [np.concatenate([heap[part::parts] for heap in heaps]) for part in range(parts)]


def _batches(case: ClassCase, parts: list[NDArray[np.int64]]) -> Iterator[ClassBatch]:
    name = case.network.classifier.feature
    for rows in parts:
        chosen = case.views.take(rows)
        inputs = {
            key: torch.from_numpy(np.ascontiguousarray(array)).to(case.device)
            for key, array in chosen.inputs.items()
        }
        weights = class_weights(chosen.labels, case.classes).astype(np.float32)
        with torch.no_grad():
            features = flat(case.view.run(inputs, fetch=[name])[name])
        yield ClassBatch(
            inputs=inputs,
            weights=torch.from_numpy(weights).to(case.device),
            is_class=torch.from_numpy(np.isin(chosen.labels, case.classes)).float().to(case.device),
            features=features,
        )
