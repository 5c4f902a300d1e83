"""Geometry of sliding windows: pads, strides and dilations of Conv and of pools."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from onnxgraph.operators.operator import Call


@dataclass(frozen=True)
class Window:
    """A window over the positions of an `(N, C, …)` tensor.

    Attributes:
        kernel: Its size along each axis.
        strides: Its steps.
        dilations: The distance between its taps.
        before: Padding in front of each axis.
        after: Padding behind each axis.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]

    @classmethod
    def of(cls, call: Call, kernel: tuple[int, ...], sizes: tuple[int, ...]) -> Window:
        """Reads the attributes of a Conv or pool over positions of the given `sizes`."""
        rank = len(kernel)
        strides = call.integers("strides", (1,) * rank)
        dilations = call.integers("dilations", (1,) * rank)
        mode = call.text("auto_pad", "NOTSET")
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            before, after = _same(mode, kernel, strides, dilations, sizes)
        elif mode == "VALID":
            before = after = (0,) * rank
        else:
            pads = call.integers("pads", (0,) * (2 * rank))
            before, after = pads[:rank], pads[rank:]
        return cls(kernel, strides, dilations, before, after)

    @property
    def extent(self) -> tuple[int, ...]:
        """Positions from the first tap to the last, both included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def padded(self) -> bool:
        """Whether there is any padding."""
        return any(self.before) or any(self.after)

    def output(self, sizes: tuple[int, ...], *, ceil: bool) -> tuple[int, ...]:
        """Windows along each axis; with `ceil`, one may begin in the data and end behind it."""
        counts = []
        for axis, size in enumerate(sizes):
            room = size + self.before[axis] + self.after[axis] - self.extent[axis]
            stride = self.strides[axis]
            count = (-(-room // stride) if ceil else room // stride) + 1
            if ceil and (count - 1) * stride >= size + self.before[axis]:
                count -= 1
            counts.append(count)
        return tuple(counts)

    def pad(self, x: Tensor, value: float, *, ceil: bool = False) -> Tensor:
        """Pads the positions of `(N, C, …)` with `value`, for `ceil` as far as windows reach."""
        widths: list[int] = []
        counts = self.output(tuple(x.shape[2:]), ceil=ceil)
        for axis in reversed(range(len(self.kernel))):
            behind = self.after[axis]
            if ceil:
                reach = (counts[axis] - 1) * self.strides[axis] + self.extent[axis]
                behind = max(behind, reach - x.shape[2 + axis] - self.before[axis])
            widths += [self.before[axis], behind]
        return F.pad(x, widths, value=value) if any(widths) else x


def _same(
    mode: str,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    sizes: tuple[int, ...],
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    before, after = [], []
    for taps, stride, dilation, size in zip(kernel, strides, dilations, sizes, strict=True):
        total = max((-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
        small, large = total // 2, total - total // 2
        before.append(small if mode == "SAME_UPPER" else large)
        after.append(large if mode == "SAME_UPPER" else small)
    return tuple(before), tuple(after)


def unfold(x: Tensor, window: Window, chosen: Tensor | None = None) -> Tensor:
    """Windows of `(N, C, …)` as rows `(N × windows, C × taps)`, channel-major.

    Args:
        x: The data.
        window: What slides over it.
        chosen: int64, which windows, numbered in row-major order of their positions; None for
            all of them.

    Returns:
        Row n·windows + p is the p-th chosen window of sample n.
    """
    padded = window.pad(x, 0.0)
    counts = window.output(tuple(x.shape[2:]), ceil=False)
    places = _tap_places(window, counts, tuple(padded.shape[2:])).to(x.device)
    if chosen is not None:
        places = places[chosen.to(x.device)]
    taps = padded.flatten(start_dim=2)[:, :, places]
    return taps.permute(0, 2, 1, 3).reshape(len(x) * len(places), -1)


def _tap_places(window: Window, counts: tuple[int, ...], sizes: tuple[int, ...]) -> Tensor:
    """`(windows, taps)`: the places that each window reads among all padded positions."""
    places = torch.zeros(1, 1, dtype=torch.int64)
    for axis, size in enumerate(sizes):
        starts = torch.arange(counts[axis]) * window.strides[axis]
        steps = torch.arange(window.kernel[axis]) * window.dilations[axis]
        along = starts[:, None] + steps
        both = places[:, None, :, None] * size + along[None, :, None, :]
        places = both.reshape(len(places) * len(along), -1)
    return places
