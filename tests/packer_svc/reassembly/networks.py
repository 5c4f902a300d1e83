"""Small untrained networks of several architectures, as graphs, and samples for them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.paper.export import export_with_free_batch
from benchmarks.paper.networks import basic_block
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.serialise import to_bytes
from packer_svc.reassembly.cutting import CutModel, cut
from tests.helpers.torch_transformers import VisionTransformer

SIDE = 8
CLASSES = 3


def samples(count: int, seed: int) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int64]]:
    """Pictures in which each class has a bright row of its own; and their labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % CLASSES
    images = random.standard_normal((count, 3, SIDE, SIDE)).astype(np.float32)
    images[np.arange(count), :, 2 * labels + 1] += 1.5
    return {"image": images}, labels


@cache
def plain(width: int, seed: int) -> CutModel:
    """Four convolutions, a pool, and a dense layer on flattened maps."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    inputs = 3
    for units in (width, width, 2 * width, 2 * width):
        layers += [nn.Conv2d(inputs, units, 3, padding=1), nn.ReLU()]
        inputs = units
    layers.insert(4, nn.MaxPool2d(2))
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * (SIDE // 2) ** 2, 4))
    return _cut(f"plain-{width}-{seed}", network)


@cache
def residual(width: int, seed: int) -> CutModel:
    """A stem, three residual blocks, and a dense layer on means."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        nn.ReLU(),
        basic_block(width, width, 1),
        basic_block(width, 2 * width, 2),
        basic_block(2 * width, 2 * width, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, 5),
    )
    return _cut(f"residual-{width}-{seed}", network)


@cache
def transformer(seed: int) -> CutModel:
    """A small vision transformer with a class token."""
    torch.manual_seed(seed)
    return _cut(f"transformer-{seed}", VisionTransformer())


def _cut(name: str, network: nn.Module) -> CutModel:
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            # Equal weights would be kept once.
            nn.init.normal_(part.bias)
    example = torch.zeros(2, 3, SIDE, SIDE)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        export_with_free_batch(network.eval(), example, "image", path)
        graph = to_bytes(normalise(load_model(path.read_bytes())))
    return cut(name, graph, samples(3, 0)[0])
