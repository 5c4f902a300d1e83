"""Packs of branches of equal shape and new weights."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.paper.export import export_with_free_batch
from benchmarks.paper.networks import TextCnn, TextShape, resnet34, vgg16
from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.serialise import to_bytes
from packer_svc.fusion.features import Fragment
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.pack import build_pack

CLASSES = 3
SAMPLES = 4
"""Of each class of a pack."""

TOKENS = 40
TEXT = TextShape(vocabulary=2000, embedding=128, units=32)


@dataclass(frozen=True)
class Architecture:
    """What branches are.

    Attributes:
        network: `vgg16`, `resnet34` or `cnn`.
        width: Factor on the channels of a picture network.
    """

    network: str
    width: float


ARCHITECTURES: Mapping[str, Architecture] = {
    # A quarter and an eighth of the MACs of the origins of half the width.
    "vgg16-25": Architecture("vgg16", 0.25),
    "vgg16-12": Architecture("vgg16", 0.177),
    "resnet34-25": Architecture("resnet34", 0.25),
    "resnet34-6": Architecture("resnet34", 0.125),
    "text-cnn": Architecture("cnn", 1.0),
}


def equal_branches(name: str, count: int) -> tuple[bytes, dict[str, NDArray[np.generic]]]:
    """A pack of several branches, and samples for it.

    Args:
        name: Of `ARCHITECTURES`.
        count: Branches.
    """
    architecture = ARCHITECTURES[name]
    inputs, labels = _samples(architecture, SAMPLES * count), np.arange(SAMPLES * count) % count
    fragments = [Fragment(_fragment(architecture, seed)) for seed in range(count)]
    features = [fragment.run(inputs) for fragment in fragments]
    head, _ = fit_head(features, labels, count, HeadSpec())
    graphs = [fragment.graph for fragment in fragments]
    return build_pack(graphs, head, [str(label) for label in range(count)]), inputs


def _samples(architecture: Architecture, count: int) -> dict[str, NDArray[np.generic]]:
    random = np.random.default_rng(0)
    if architecture.network == "cnn":
        return {"tokens": random.integers(1, TEXT.vocabulary, (count, TOKENS))}
    return {"image": random.normal(size=(count, 3, 32, 32)).astype(np.float32)}


def _fragment(architecture: Architecture, seed: int) -> bytes:
    torch.manual_seed(seed)
    name, network = _network(architecture)
    example = torch.from_numpy(_samples(architecture, 2)[name])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export_with_free_batch(network.eval(), example, name, path)
        model = normalise(load_model(path.read_bytes()))
    return to_bytes(as_fragment(model, find_classifier(model)))


def _network(architecture: Architecture) -> tuple[str, nn.Module]:
    """What its input is called, and a network with new weights."""
    if architecture.network == "cnn":
        return "tokens", TextCnn(CLASSES, TEXT)
    make = {"vgg16": vgg16, "resnet34": resnet34}[architecture.network]
    return "image", make(CLASSES, architecture.width)
