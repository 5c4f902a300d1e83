"""Networks of the sizes that slicing is timed at; their weights are new."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import onnx_ir as ir
import torch
from torch import Tensor, nn

from benchmarks.paper.networks import resnet34, vgg16
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise

INPUT = "image"
RESNET50_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
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
    layers: list[nn.Module] = [
        nn.Conv2d(3, channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    for full, blocks, stride in RESNET50_STAGES:
        units = max(1, round(full * width))
        for block in range(blocks):
            layers.append(Bottleneck(channels, units, stride if block == 0 else 1))
            channels = EXPANSION * units
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(channels, classes))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, and a shortcut."""

    def __init__(self, inputs: int, units: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * units
        self.body = nn.Sequential(
            nn.Conv2d(inputs, units, 1, bias=False),
            nn.BatchNorm2d(units),
            nn.ReLU(inplace=True),
            nn.Conv2d(units, units, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(units),
            nn.ReLU(inplace=True),
            nn.Conv2d(units, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """`(n, inputs, h, w)` to `(n, 4 units, h / stride, w / stride)`."""
        return torch.relu(self.body(x) + self.shortcut(x))


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
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, size, size),),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=[INPUT],
            output_names=["scores"],
            dynamic_axes={INPUT: {0: "batch"}, "scores": {0: "batch"}},
        )
        return normalise(load_model(path.read_bytes()))
