"""Small classifiers as torch modules, and their export by both exporters."""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, cast

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """A module that knows the shape of one sample."""

    shape: ClassVar[tuple[int, ...]]


class Mlp(Classifier):
    """A perceptron with two hidden layers over `(N, 12)`."""

    shape = (12,)

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 8)
        )
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(torch.tanh(self.body(x))))


class Vgg(Classifier):
    """Convolutions and pools, flattened by `view` with the batch read at run time."""

    shape = (1, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(32, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 4)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return cast(Tensor, self.classifier(x.view(x.size(0), -1)))


class _Residual(nn.Module):
    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.short: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            self.short = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.short(x))


class ResNet(Classifier):
    """Two residual blocks, the second with a strided shortcut."""

    shape = (3, 12, 12)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1, bias=False), nn.BatchNorm2d(6))
        self.blocks = nn.Sequential(_Residual(6, 6, 1), _Residual(6, 10, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(torch.relu(self.stem(x)))
        return cast(Tensor, self.fc(torch.flatten(self.pool(x), 1)))


class MobileNet(Classifier):
    """Inverted residual with a depthwise convolution, ReLU6, HardSwish; spatial mean by `mean`."""

    shape = (3, 10, 10)

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(8, 8, 3, 2, 1, groups=8), nn.BatchNorm2d(8), nn.Hardswish()
        )
        self.project = nn.Sequential(nn.Conv2d(8, 6, 1), nn.BatchNorm2d(6))
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(self.depthwise(self.expand(x)))
        return torch.softmax(self.fc(x.mean([2, 3])), dim=1)


class Inception(Classifier):
    """Two branches joined by `cat`, explicit padding, and reshapes that name every axis."""

    shape = (2, 9, 9)

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(2, 4, 3, padding=1)
        self.right = nn.Conv2d(2, 5, 3)
        self.pool = nn.AvgPool2d(3, 2, padding=1)
        self.mix = nn.Conv2d(9, 6, 1)
        self.fc = nn.Linear(6 * 25, 4)

    def forward(self, x: Tensor) -> Tensor:
        right = self.right(nn.functional.pad(x, (1, 1, 1, 1)))
        x = self.pool(torch.cat([self.left(x), nn.functional.leaky_relu(right, 0.1)], dim=1))
        n, c, h, w = x.shape
        x = x.reshape(n, c, h * w).transpose(1, 2).reshape(n, h, w, c).permute(0, 3, 1, 2)
        return cast(Tensor, self.fc(torch.sigmoid(self.mix(x)).flatten(1)))


MODELS: tuple[type[Classifier], ...] = (Mlp, Vgg, ResNet, MobileNet, Inception)


def build(kind: type[Classifier], seed: int = 0) -> nn.Module:
    """A module in eval mode whose normalisers have seen some data."""
    torch.manual_seed(seed)
    module = kind()
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(16, *kind.shape) * 1.5 + 0.3)
    return module.eval()


def export(
    module: nn.Module,
    shapes: Sequence[tuple[int, ...]],
    *,
    dynamo: bool,
    opset: int,
    batch: int = 2,
    dynamic: bool = True,
) -> bytes:
    """Exports a module as its users would, one file with all weights in it."""
    inputs = tuple(torch.randn(batch, *shape) for shape in shapes)
    return export_with(module, inputs, dynamo=dynamo, opset=opset, dynamic=dynamic)


def export_with(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    *,
    dynamo: bool,
    opset: int,
    dynamic: bool = True,
) -> bytes:
    """The same with inputs to trace the module with."""
    names = [f"x{i}" if i else "x" for i in range(len(inputs))]
    with warnings.catch_warnings():
        # torch 2.13 deprecates the TorchScript exporter and parts of its own tracing.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "Constant folding - Only steps=1", UserWarning)
        if dynamo:
            axes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs) if dynamic else None
            program = torch.onnx.export(
                module,
                inputs,
                dynamo=True,
                opset_version=opset,
                dynamic_shapes=axes,
                input_names=names,
                output_names=["scores"],
                external_data=False,
                verbose=False,
            )
            assert program is not None
            return program.model_proto.SerializeToString()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            torch.onnx.export(
                module,
                inputs,
                str(path),
                dynamo=False,
                opset_version=opset,
                dynamic_axes={n: {0: "batch"} for n in (*names, "scores")} if dynamic else None,
                input_names=names,
                output_names=["scores"],
            )
            return path.read_bytes()
