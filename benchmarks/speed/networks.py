"""Networks of the sizes that slicing is timed at; their weights are new."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import onnx_ir as ir
import torch
from torch import nn

from benchmarks.paper.export import export_with_free_batch
from benchmarks.paper.networks import Residual, resnet, resnet34, vgg16
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise

INPUT = "image"
EXPANSION = 4
"""Channels that a bottleneck puts out for each of its inner ones."""
SETTLING_BATCHES = 3
"""Batches of noise after which BatchNormalization keeps activations at their usual size."""


def resnet50(classes: int, width: float) -> nn.Module:
    """ResNet50 for pictures of any size (He et al., 2016).

    Args:
        classes: Class scores.
        width: Factor on all channel counts.
    """
    channels = max(1, round(64 * width))
    stem = [
        nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    return resnet(stem, channels, classes, width, bottleneck)


def bottleneck(inputs: int, units: int, stride: int) -> Residual:
    """1×1, 3×3 and 1×1 convolutions, and a shortcut."""
    outputs = EXPANSION * units
    body = nn.Sequential(
        nn.Conv2d(inputs, units, 1, bias=False),
        nn.BatchNorm2d(units),
        nn.ReLU(inplace=True),
        nn.Conv2d(units, units, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(units),
        nn.ReLU(inplace=True),
        nn.Conv2d(units, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
    )
    return Residual(body, inputs, outputs, stride)


NETWORKS: Mapping[str, Callable[[int, float], nn.Module]] = {
    "vgg16": vgg16,
    "resnet34": resnet34,
    "resnet50": resnet50,
}


def new_model(arch: str, classes: int, width: float, size: int) -> ir.Model:
    """A network with new weights, exported and brought into normal form.

    Args:
        arch: Of `NETWORKS`.
        classes: Class scores.
        width: Factor on its channels.
        size: Height and width of its pictures, in pixels.
    """
    torch.manual_seed(0)
    network = NETWORKS[arch](classes, width).train()
    with torch.no_grad():
        for _ in range(SETTLING_BATCHES):
            network(torch.randn(32, 3, size, size))
    network.eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export_with_free_batch(network, torch.zeros(2, 3, size, size), INPUT, path)
        return normalise(load_model(path.read_bytes()))
