"""What is measured of a market's models before anything is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.classifier import FEATURES
from packer_svc.fusion.stitches import Shape
from packer_svc.reassembly.cutting import AnyArray, CutModel
from packer_svc.reassembly.patterns import pattern_kernel
from packer_svc.reassembly.probes import left_unexplained
from packer_svc.reassembly.similarity import gridded, linear_cka, pooled

Array = NDArray[np.float64]

MOST_SAMPLES = 256
"""Of how many samples kernels are made; their determinants take the third power of it."""
MOST_UNITS = 4096
"""Of how many units of an activation function signs are read; evenly chosen."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What samples tell of models.

    Attributes:
        models: The models.
        inputs: The samples, one array per input: those that were asked for, or some of them.
        labels: The places of their classes.
        similarity: Linear CKA between all cut points, as `sets.Market` wants it.
        kernels: Pattern kernels of every model's pieces, `(pieces, n, n)` float32 each.
        probes: Of every model what its cut points leave unexplained of the wanted classes, as
            `left_unexplained` tells it.
        shapes: Of every model the shape of its cut points, its input first.
    """

    models: Sequence[CutModel]
    inputs: Mapping[str, AnyArray]
    labels: NDArray[np.int64]
    similarity: Array
    kernels: Sequence[NDArray[np.float32]]
    probes: Sequence[Sequence[float]]
    shapes: Sequence[Sequence[Shape]]


def measure(
    models: Sequence[CutModel],
    inputs: Mapping[str, AnyArray],
    labels: NDArray[np.int64],
    report: Callable[[int, int], None],
) -> Measured:
    """Runs samples through every model once.

    Args:
        models: The models; they share their inputs.
        inputs: Samples of the wanted classes.
        labels: The place of each sample's class.
        report: Told models done and in all.
    """
    count = len(next(iter(inputs.values())))
    step = -(-count // MOST_SAMPLES)
    few = {name: array[::step] for name, array in inputs.items()}
    features: list[Array] = []
    kernels, probes, shapes = [], [], []
    for done, model in enumerate(models):
        report(done, len(models))
        points, known, kernel, found = _of_model(model, few, labels[::step])
        features += points
        probes.append(known)
        kernels.append(kernel)
        shapes.append(found)
    return Measured(models, few, labels[::step], linear_cka(features), kernels, probes, shapes)


def _of_model(
    model: CutModel, inputs: Mapping[str, AnyArray], labels: NDArray[np.int64]
) -> tuple[list[Array], list[float], NDArray[np.float32], list[Shape]]:
    """Features, probes, kernels and shapes."""
    # Behind the last piece it is the features that count, of which the class scores are made.
    ends = [*(piece.end for piece in model.pieces[:-1]), FEATURES]
    points = [model.pieces[0].start, *ends]
    shapes: dict[str, Shape] = {}
    means: dict[str, list[Tensor]] = {name: [] for name in points}
    sides: dict[str, list[Tensor]] = {
        name: [] for piece in model.pieces for name in piece.activations
    }

    def reduce(name: str, tensor: Tensor) -> Tensor:
        shapes[name] = tuple(tensor.shape[1:])
        flat = tensor.flatten(1)
        if name in points:
            means[name].append(torch.from_numpy(pooled(tensor)))
        if name in sides:
            sides[name].append(flat[:, :: -(-flat.shape[1] // MOST_UNITS)] > 0)
        return torch.from_numpy(gridded(tensor)) if name in points else flat[:, :0]

    count = len(next(iter(inputs.values())))
    found = model.run(inputs, [*dict.fromkeys([*points, *sides])], reduce=reduce)
    kernels = [
        pattern_kernel([torch.cat(sides[name]) for name in piece.activations], count)
        for piece in model.pieces
    ]
    probes = [left_unexplained(found[name].numpy(), labels) for name in points]
    arrays = [torch.cat(means[name]).numpy() for name in points]
    # Whole numbers, exact in half of the bytes.
    return arrays, probes, np.stack(kernels).astype(np.float32), [shapes[name] for name in points]
