"""What baselines that train by gradient have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.paper.corpus import Inputs
from slicer_svc.slicing.augmentation import Augmentation, augmented
from slicer_svc.slicing.samples import Samples

Rows = NDArray[np.int64]
Forward = Callable[[Tensor], Tensor]

BATCH = 32
"""Samples of a gradient step: what fits on a processor at full width."""

TEST_BATCH = 256


def accelerator() -> torch.device:
    """CUDA where it is there."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True, eq=False)
class Views:
    """Augmented samples of one input.

    Attributes:
        inputs: `(views · n, ...)`, view by view, the samples themselves first.
        labels: `(views · n,)`.
        sample: Which sample each row is a view of, `(views · n,)`.
    """

    inputs: Inputs
    labels: Rows
    sample: Rows

    @classmethod
    def of(cls, samples: Samples, augmentation: Augmentation, views: int, seed: int) -> Views:
        """All views of some samples."""
        made = augmented(samples, augmentation, views, seed)
        (inputs,) = made.inputs.values()
        return cls(inputs, made.labels, np.arange(len(made)) % len(samples))

    def rows_of(self, samples: Rows) -> Rows:
        """The rows that are views of the given samples."""
        return np.flatnonzero(np.isin(self.sample, samples)).astype(np.int64)


def batches(rows: Rows, steps: int, seed: int) -> Iterator[Rows]:
    """`steps` minibatches: all rows in a drawn order, then in another one."""
    random = np.random.default_rng(seed)
    order = random.permutation(rows)
    for _ in range(steps):
        if not len(order):
            order = random.permutation(rows)
        yield order[:BATCH]
        order = order[BATCH:]


def guessed(forward: Forward, inputs: Inputs, device: torch.device) -> Rows:
    """The place of the largest score `(n,)`."""
    found = []
    with torch.no_grad():
        for start in range(0, len(inputs), TEST_BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(inputs[start : start + TEST_BATCH]))
            found.append(forward(batch.to(device)).argmax(dim=1).cpu().numpy())
    return np.concatenate(found).astype(np.int64)


def last_dense(network: nn.Module) -> nn.Linear:
    """A network's classifier: its last dense layer."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    return layers[-1]


def best_stop(right: Sequence[float], stops: Sequence[int]) -> int:
    """The stop with most right answers, the earliest among equals."""
    return stops[int(np.argmax(right))]
