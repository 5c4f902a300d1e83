"""Small classifiers of scikit-learn's digits, trained in a second, with samples for a market."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from benchmarks.demo.digits import LabelledDigits, split_digits
from benchmarks.demo.origins import export_origin, shifted

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
STEPS = 120


@dataclass(frozen=True)
class DigitModel:
    """A trained classifier, as someone would submit it.

    Attributes:
        digits: The digits that it tells apart.
        graph: The ONNX file.
        samples: The npz with 20 samples a class.
    """

    digits: tuple[int, ...]
    graph: bytes
    samples: bytes

    @property
    def labels(self) -> list[str]:
        """The labels in the order of its outputs."""
        return [NAMES[digit] for digit in self.digits]


@cache
def digit_model(digits: tuple[int, ...], *, width: int = 8) -> DigitModel:
    """Trains and exports a network of two convolutions and a dense layer."""
    split = split_digits(0)
    network = _train(split.train.only(digits), width)
    samples = split.market.only(digits)
    buffer = io.BytesIO()
    np.savez(buffer, image=samples.images, labels=samples.labels)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_origin(network, path, dynamo=False)
        return DigitModel(digits, path.read_bytes(), buffer.getvalue())


def unseen_digits(digits: Sequence[int]) -> LabelledDigits:
    """Digits that no model and no market has seen, labelled by their place in `digits`."""
    return split_digits(0).test.only(digits)


def _train(data: LabelledDigits, width: int) -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(
        *(nn.Conv2d(1, width, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(32 * width, 4 * width), nn.ReLU()),
        nn.Linear(4 * width, int(data.labels.max()) + 1),
    )
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(STEPS):
        chosen = torch.randint(len(labels), (64,))
        loss = nn.functional.cross_entropy(network(shifted(images[chosen])), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()
