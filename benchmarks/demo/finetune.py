"""The demo's baseline: the best origin, finetuned on the market's samples of the wanted classes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn

from benchmarks.demo.digits import LabelledDigits

RATES = (1e-3, 3e-3)
STEPS = (25, 50, 100)
FOLDS = 5


@dataclass(frozen=True)
class Finetuned:
    """The finetuned origin that cross-validation chose.

    Attributes:
        origin: its name.
        learning_rate: Adam's rate.
        steps: how many full-batch steps.
        cross_validated_accuracy: the accuracy that it was chosen by, in [0, 1].
        network: the network, trained on all samples.
    """

    origin: str
    learning_rate: float
    steps: int
    cross_validated_accuracy: float
    network: nn.Module


def finetune_best(
    origins: Mapping[str, nn.Sequential], samples: LabelledDigits, seed: int
) -> Finetuned:
    """Chooses origin, rate and steps by cross-validation, then trains on all samples.

    Args:
        origins: the trained networks by name.
        samples: the market's samples of the wanted classes, labels from 0 on.
        seed: the seed of folds and new classifiers.

    Returns:
        The chosen network.
    """
    images, labels = torch.from_numpy(samples.images), torch.from_numpy(samples.labels)
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(images, labels))
    scores: dict[tuple[str, float, int], float] = {}
    for name, origin in origins.items():
        for rate in RATES:
            right = np.zeros(len(STEPS))
            for fitted, held in folds:
                trained = train(origin, images[fitted], labels[fitted], rate, STEPS)
                right += [int((n(images[held]).argmax(1) == labels[held]).sum()) for n in trained]
            for steps, count in zip(STEPS, right, strict=True):
                scores[name, rate, steps] = float(count) / len(labels)
    name, rate, steps = max(scores, key=scores.__getitem__)
    (network,) = train(origins[name], images, labels, rate, (steps,))
    return Finetuned(name, rate, steps, scores[name, rate, steps], network)


def train(
    origin: nn.Sequential, images: Tensor, labels: Tensor, rate: float, stops: Sequence[int]
) -> list[nn.Module]:
    """Finetunes all weights of an origin with a new classifier, full batch, by Adam.

    Args:
        origin: the trained network; it is not changed.
        images: (n, 1, 8, 8).
        labels: (n,).
        rate: Adam's rate.
        stops: the steps, rising, after which a copy is taken.

    Returns:
        A copy of the network in evaluation mode for every stop.
    """
    torch.manual_seed(0)
    network = copy.deepcopy(origin)
    classifier = network[-1]
    assert isinstance(classifier, nn.Linear)
    network[-1] = nn.Linear(classifier.in_features, int(labels.max()) + 1)
    optimiser = torch.optim.Adam(network.parameters(), rate)
    copies: list[nn.Module] = []
    for step in range(1, stops[-1] + 1):
        # BatchNormalization keeps the origin's statistics: sixty samples are too few for new ones.
        network.eval()
        loss = nn.functional.cross_entropy(network(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in stops:
            copies.append(copy.deepcopy(network).eval())
    return copies
