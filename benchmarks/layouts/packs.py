"""Packs of branches with new weights, of one shape or of one for each origin."""

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
VOCABULARY, EMBEDDING = 2000, 128
UNITS = 128
"""Filters of each size of a text network of full width."""

CLASSES_OF_ORIGIN = 3
"""Fragments of one origin have one shape."""


@dataclass(frozen=True)
class Architecture:
    """What branches are.

    Attributes:
        network: `vgg16`, `resnet34` or `cnn`.
        widths: Factors on the channels or filters of the full network, one for each origin; the
            first comes again when all are used.
    """

    network: str
    widths: tuple[float, ...]


ARCHITECTURES: Mapping[str, Architecture] = {
    # A quarter and an eighth of the MACs of the origins: pictures' have half the width.
    "vgg16-25": Architecture("vgg16", (0.25,)),
    "vgg16-25-mixed": Architecture("vgg16", (0.25, 0.21875, 0.28125, 0.234375)),
    "vgg16-12": Architecture("vgg16", (0.177,)),
    "resnet34-25": Architecture("resnet34", (0.25,)),
    "resnet34-12": Architecture("resnet34", (0.177,)),
    "text-cnn-25": Architecture("cnn", (0.25,)),
    "text-cnn-12": Architecture("cnn", (0.125,)),
}


def branches(name: str, count: int) -> tuple[bytes, dict[str, NDArray[np.generic]]]:
    """A pack of several branches, equal ones of an origin, and samples for it.

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
        return {"tokens": random.integers(1, VOCABULARY, (count, TOKENS))}
    return {"image": random.normal(size=(count, 3, 32, 32)).astype(np.float32)}


def _fragment(architecture: Architecture, place: int) -> bytes:
    torch.manual_seed(place)
    widths = architecture.widths
    network = _network(architecture.network, widths[place // CLASSES_OF_ORIGIN % len(widths)])
    ((name, samples),) = _samples(architecture, 2).items()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export_with_free_batch(network.eval(), torch.from_numpy(samples), name, path)
        model = normalise(load_model(path.read_bytes()))
    return to_bytes(as_fragment(model, find_classifier(model)))


def _network(name: str, width: float) -> nn.Module:
    """A network with new weights."""
    if name == "cnn":
        return TextCnn(CLASSES, TextShape(VOCABULARY, EMBEDDING, round(width * UNITS)))
    make = {"vgg16": vgg16, "resnet34": resnet34}[name]
    return make(CLASSES, width)
