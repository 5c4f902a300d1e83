"""The convolutional architectures of the literature, each as small as it can be told by."""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from tests.helpers.torch_models import Classifier


def _conv(
    inputs: int, outputs: int, size: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution and normaliser, positions kept but for the stride."""
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class _Gate(nn.Module):
    """Squeeze-excite (Hu et al. 2018)."""

    def __init__(self, width: int, inner: nn.Module, outer: nn.Module) -> None:
        super().__init__()
        self.squeeze, self.excite = nn.Conv2d(width, 4, 1), nn.Conv2d(4, width, 1)
        self.inner, self.outer = inner, outer

    def forward(self, x: Tensor) -> Tensor:
        pooled = nn.functional.adaptive_avg_pool2d(x, 1)
        return cast(Tensor, x * self.outer(self.excite(self.inner(self.squeeze(pooled)))))


class _Residual(nn.Module):
    """A body beside a shortcut, which is projected where the shape changes."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None, end: nn.Module) -> None:
        super().__init__()
        self.body, self.end = body, end
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.end(self.body(x) + self.shortcut(x)))


class _Images(Classifier):
    """A body over images, averaged and classified."""

    shape: ClassVar[tuple[int, ...]] = (3, 8, 8)

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.fc = body, nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.fc(self.body(x).mean((2, 3))))


class Vgg(_Images):
    """Convolutions behind each other (Simonyan and Zisserman 2015), two dense layers."""

    def __init__(self) -> None:
        body = nn.Sequential(
            *(_conv(3, 6), nn.ReLU(), nn.MaxPool2d(2)), *(_conv(6, 8), nn.ReLU(), nn.MaxPool2d(2))
        )
        super().__init__(body, 10)
        self.hidden = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.fc(torch.relu(self.hidden(self.body(x).flatten(1)))))


class BasicResNet(_Images):
    """Two 3×3 convolutions a block (He et al. 2016)."""

    def __init__(self) -> None:
        def block(inputs: int, outputs: int, stride: int) -> nn.Module:
            body = nn.Sequential(
                _conv(inputs, outputs, 3, stride), nn.ReLU(), _conv(outputs, outputs)
            )
            short = None if stride == 1 else _conv(inputs, outputs, 1, stride)
            return _Residual(body, short, nn.ReLU())

        super().__init__(
            nn.Sequential(_conv(3, 6), nn.ReLU(), block(6, 6, 1), block(6, 8, 2), block(8, 8, 1)), 8
        )


def _bottleneck(inputs: int, inner: int, outputs: int, groups: int, gate: bool) -> nn.Module:
    body = nn.Sequential(
        *(_conv(inputs, inner, 1), nn.ReLU(), _conv(inner, inner, 3, 2, groups), nn.ReLU()),
        _Gate(inner, nn.ReLU(), nn.Sigmoid()) if gate else nn.Identity(),
        _conv(inner, outputs, 1),
    )
    return _Residual(body, _conv(inputs, outputs, 1, 2), nn.ReLU())


class BottleneckResNet(_Images):
    """A narrow 3×3 convolution between two pointwise ones (He et al. 2016)."""

    def __init__(self) -> None:
        blocks = _bottleneck(6, 4, 8, 1, False), _bottleneck(8, 5, 10, 1, False)
        super().__init__(nn.Sequential(_conv(3, 6), nn.ReLU(), *blocks), 10)


class ResNeXt(_Images):
    """Bottlenecks whose 3×3 convolution is grouped (Xie et al. 2017)."""

    def __init__(self) -> None:
        blocks = _bottleneck(6, 8, 8, 4, False), _bottleneck(8, 9, 10, 3, False)
        super().__init__(nn.Sequential(_conv(3, 6), nn.ReLU(), *blocks), 10)


class RegNet(_Images):
    """Grouped bottlenecks with gates (Radosavovic et al. 2020, RegNetY)."""

    def __init__(self) -> None:
        blocks = _bottleneck(6, 8, 8, 4, True), _bottleneck(8, 12, 10, 3, True)
        super().__init__(nn.Sequential(_conv(3, 6), nn.ReLU(), *blocks), 10)


class _Growth(nn.Module):
    """DenseNet's layer: normalised, activated, convolved and joined with what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.squeeze = nn.BatchNorm2d(width), _conv(width, 6, 1)
        self.grow = nn.Conv2d(6, 4, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.squeeze(torch.relu(self.norm(x))))
        return torch.cat([x, self.grow(inner)], dim=1)


class DenseNet(_Images):
    """Every layer reads all earlier ones (Huang et al. 2017), a transition between two blocks."""

    def __init__(self) -> None:
        transition = nn.Sequential(
            nn.BatchNorm2d(14), nn.ReLU(), nn.Conv2d(14, 7, 1), nn.AvgPool2d(2)
        )
        body = nn.Sequential(
            *(_conv(3, 6), nn.ReLU(), _Growth(6), _Growth(10)), *(transition, _Growth(7)), nn.ReLU()
        )
        super().__init__(body, 11)


def _inverted(
    widths: tuple[int, int, int], stride: int, act: type[nn.Module], gate: nn.Module | None
) -> nn.Module:
    """Pointwise, depthwise, gate, pointwise; a shortcut where the shape stays."""
    inputs, inner, outputs = widths
    depthwise = _conv(inner, inner, 3, stride, inner)
    body = nn.Sequential(
        *(_conv(inputs, inner, 1), act(), depthwise, act()),
        *([] if gate is None else [gate]),
        _conv(inner, outputs, 1),
    )
    same = stride == 1 and inputs == outputs
    return _Residual(body, None, nn.Identity()) if same else body


class MobileNetV2(_Images):
    """Inverted residuals (Sandler et al. 2018)."""

    def __init__(self) -> None:
        blocks = [_inverted(w, s, nn.ReLU6, None) for w, s in (((6, 9, 6), 1), ((6, 10, 8), 2))]
        super().__init__(nn.Sequential(_conv(3, 6), nn.ReLU6(), *blocks), 8)


class MobileNetV3(_Images):
    """With gates and hard swishes (Howard et al. 2019)."""

    def __init__(self) -> None:
        gates = [_Gate(width, nn.ReLU(), nn.Hardsigmoid()) for width in (9, 10)]
        blocks = [
            _inverted((6, 9, 6), 1, nn.Hardswish, gates[0]),
            _inverted((6, 10, 8), 2, nn.Hardswish, gates[1]),
        ]
        super().__init__(nn.Sequential(_conv(3, 6), nn.Hardswish(), *blocks), 8)


class EfficientNet(_Images):
    """With gates and swishes (Tan and Le 2019)."""

    def __init__(self) -> None:
        gates = [_Gate(width, nn.SiLU(), nn.Sigmoid()) for width in (9, 10)]
        blocks = [
            _inverted((6, 9, 6), 1, nn.SiLU, gates[0]),
            _inverted((6, 10, 8), 2, nn.SiLU, gates[1]),
        ]
        super().__init__(nn.Sequential(_conv(3, 6), nn.SiLU(), *blocks), 8)


class _Shuffle(nn.Module):
    """ShuffleNetV2's unit (Ma et al. 2018): half of the channels pass, then all are shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.branch = nn.Sequential(
            *(_conv(half, half, 1), nn.ReLU(), _conv(half, half, 3, 1, half)),
            *(_conv(half, half, 1), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        passing, changed = x.chunk(2, dim=1)
        x = torch.cat([passing, self.branch(changed)], dim=1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleNet(_Images):
    """Three units behind each other."""

    def __init__(self) -> None:
        units = [_Shuffle(12) for _ in range(3)]
        super().__init__(nn.Sequential(_conv(3, 12), nn.ReLU(), *units), 12)


class _ConvNeXtBlock(nn.Module):
    """Depthwise, normalised over channels that stand last, an MLP, a scale (Liu et al. 2022)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 12), nn.GELU(), nn.Linear(12, width))
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, width))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.scale * self.mlp(self.norm(self.depthwise(x).permute(0, 2, 3, 1)))
        return cast(Tensor, x + inner.permute(0, 3, 1, 2))


class ConvNeXt(_Images):
    """Two blocks."""

    def __init__(self) -> None:
        super().__init__(
            nn.Sequential(nn.Conv2d(3, 6, 2, 2), _ConvNeXtBlock(6), _ConvNeXtBlock(6)), 6
        )


class _Fire(nn.Module):
    """A squeeze read by two expansions (Iandola et al. 2016)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, 4, 1)
        self.left, self.right = nn.Conv2d(4, 5, 1), nn.Conv2d(4, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], dim=1)


class SqueezeNet(_Images):
    """Fire modules and class maps, these without the activation that stands behind them."""

    def __init__(self) -> None:
        fires = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), _Fire(6), nn.MaxPool2d(2), _Fire(11))
        super().__init__(fires, 1)
        self.fc = nn.Identity()  # type: ignore[assignment]
        self.maps = nn.Conv2d(11, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.adaptive_avg_pool2d(self.maps(self.body(x)), 1).flatten(1)


ZOO: tuple[type[Classifier], ...] = (
    Vgg,
    BasicResNet,
    BottleneckResNet,
    ResNeXt,
    RegNet,
    DenseNet,
    MobileNetV2,
    MobileNetV3,
    EfficientNet,
    ShuffleNet,
    ConvNeXt,
    SqueezeNet,
)
