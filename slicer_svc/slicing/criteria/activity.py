"""Statistics of every unit's output by label: one pass over the samples for all classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.linear import unit_rows
from onnxgraph.view import TorchView
from slicer_svc.slicing.activations import unit_outputs
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.samples import Samples
from slicer_svc.slicing.walk import BATCH


@dataclass(frozen=True, eq=False)
class Spread:
    """Means over samples and positions, by label; each float64 `(labels, u)`.

    Attributes:
        magnitude: Of |a|.
        mean: Of a.
        square: Of a².
    """

    magnitude: NDArray[np.float64]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]

    def variance(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variance with label weights of sum one, `(u,)`."""
        return np.asarray(np.maximum(weights @ self.square - (weights @ self.mean) ** 2, 0.0))


@dataclass(frozen=True, eq=False)
class Activity:
    """What the units of a model do, by label.

    Attributes:
        samples: Samples of every label, int64 `(labels,)`.
        own: By group, its units at their own output.
        classifier: The same as the classifier reads them, for the groups that it reads.
    """

    samples: NDArray[np.int64]
    own: Mapping[str, Spread]
    classifier: Mapping[str, Spread]

    def weights(self, classes: Sequence[int]) -> NDArray[np.float64]:
        """Label weights with which classes count twice the sum of all others, `(labels,)`."""
        others = self.samples.astype(np.float64)
        others[list(classes)] = 0.0
        inside = np.zeros_like(others)
        inside[list(classes)] = 1.0 / len(classes)
        if not others.any():
            return inside
        return np.asarray(2.0 / 3.0 * inside + others / others.sum() / 3.0)


def measure_activity(network: Network, view: TorchView, views: Samples) -> Activity:
    """Passes all samples through a model once.

    Args:
        network: The model.
        view: A view of that model, on the device where this is to run.
        views: Samples with labels.

    Returns:
        The statistics; labels without samples have zeros.
    """
    labels = int(views.labels.max()) + 1
    counts = np.bincount(views.labels, minlength=labels)
    own = {group.id: np.zeros((3, labels, group.units)) for group in network.groups}
    reads = [site.reads for site in network.sites if site.node == network.classifier.node]
    read = {group: consumer for found in reads for group, consumer in found.items()}
    classifier = {group: np.zeros((3, labels, len(read[group].positions))) for group in read}
    names = {group.value for group in network.groups} | {one.value for one in read.values()}
    for chosen, values in _passes(view, views, sorted(names)):
        for group in network.groups:
            outputs = unit_outputs(group, values[group.value], len(chosen))
            _add(own[group.id], outputs, chosen, counts)
        for name, consumer in read.items():
            rows = unit_rows(consumer, values[consumer.value])
            outputs = rows.unflatten(0, (len(chosen), -1)).movedim(1, 2)
            _add(classifier[name], outputs, chosen, counts)
    return Activity(
        samples=counts,
        own={name: Spread(*sums) for name, sums in own.items()},
        classifier={name: Spread(*sums) for name, sums in classifier.items()},
    )


def _passes(
    view: TorchView, views: Samples, fetch: Sequence[str]
) -> Iterator[tuple[NDArray[np.int64], Mapping[str, Tensor]]]:
    """Labels and values of all samples, one minibatch at a time."""
    device = next(view.parameters()).device
    for start in range(0, len(views), BATCH):
        inputs = {
            name: torch.from_numpy(np.ascontiguousarray(array[start : start + BATCH])).to(device)
            for name, array in views.inputs.items()
        }
        with torch.no_grad():
            yield views.labels[start : start + BATCH], view.run(inputs, fetch=fetch)


def _add(
    sums: NDArray[np.float64],
    outputs: Tensor,
    labels: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Adds a minibatch's `(n, u, positions)` to the means by label `(3, labels, u)`, in place."""
    moments = (outputs.abs(), outputs, outputs.square())
    by_sample = torch.stack([moment.mean(dim=2) for moment in moments]).double().cpu().numpy()
    for label in np.unique(labels):
        sums[:, label] += by_sample[:, labels == label].sum(axis=1) / counts[label]
