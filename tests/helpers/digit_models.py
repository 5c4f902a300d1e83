"""Small classifiers of scikit-learn's digits, trained in a second, with samples for a market."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.demo.digits import LabelledDigits, split_digits
from benchmarks.demo.origins import export_origin, shifted
from benchmarks.paper.export import export_with_free_batch

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


@cache
def large_digit_model(digits: tuple[int, ...]) -> DigitModel:
    """The same for pictures of 16 by 16 in bytes, channels last: declare them so."""
    split = split_digits(0)
    network = nn.Sequential(_FromBytes(), *_train(split.train.only(digits), 4)).eval()
    samples = split.market.only(digits)
    buffer = io.BytesIO()
    np.savez(buffer, image=large_pictures(samples.images), labels=samples.labels)
    example = torch.zeros(2, 16, 16, 1, dtype=torch.uint8)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_with_free_batch(network, example, "image", path)
        return DigitModel(digits, path.read_bytes(), buffer.getvalue())


def large_pictures(images: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Digits `(n, 1, 8, 8)` from 0 to 1 as bytes `(n, 16, 16, 1)`."""
    doubled = images.repeat(2, axis=2).repeat(2, axis=3)
    return np.rint(doubled * 255).astype(np.uint8).transpose(0, 2, 3, 1)


class _FromBytes(nn.Module):
    """What large pictures are, as the small network was trained on them."""

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        channels_first = pictures.permute(0, 3, 1, 2).float() / 255
        return nn.functional.avg_pool2d(channels_first, 2)


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
