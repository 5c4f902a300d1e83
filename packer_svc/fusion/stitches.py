"""Stitches: what brings a tensor of one network to what another one expects, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Array = NDArray[np.float64]
Shape = tuple[int, ...]

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Ridges to choose from, as shares of the mean variance of what is read."""
MOST_ROWS = 65_536
"""Of how many positions a stitch learns at most; evenly chosen."""
FEW_ROWS = 1_024
"""Of how many positions a stitch learns that only serves a comparison."""
QUICK_RIDGE = 1e-2
"""Its ridge."""
TINY = 1e-300
"""Below any variance of features: what never varies gets no weight, and is no reason to fail."""
SCALES = 4
"""What the graph of a resize holds beside weights: a factor for every axis."""


@dataclass(frozen=True, eq=False)
class Stitch:
    """Resize, then one linear map at every position, then Relu where nothing below zero is wanted.

    Attributes:
        reads: The shape of what it reads, the sample aside: `(C, H, W)`, `(T, D)` or `(D,)`.
        makes: The shape of what it makes.
        weight: `(C', C)`.
        bias: `(C',)`.
        rectified: Whether it ends in a Relu: what it imitates is never negative.
    """

    reads: Shape
    makes: Shape
    weight: Array
    bias: Array
    rectified: bool

    @property
    def parameters(self) -> int:
        """Weights, biases and the factors of a resize."""
        return stitch_cost(self.reads, self.makes)[0]

    def __call__(self, x: Tensor) -> Tensor:
        """`(n, *reads)` to `(n, *makes)`."""
        weight = torch.from_numpy(self.weight).to(x)
        found = apply(resized(x, self.makes), weight, torch.from_numpy(self.bias).to(x))
        return found.relu() if self.rectified else found


def joinable(reads: Shape, makes: Shape) -> bool:
    """Whether a stitch can lead from one shape to another.

    Maps of any size lead to maps of any size and, by their mean, to vectors; tokens to as many
    tokens and, by their mean, to vectors; vectors to vectors alone, for nothing says what would be
    where.
    """
    if len(makes) == 1:
        return len(reads) in (1, 2, 3)
    if len(reads) != len(makes):
        return False
    return len(makes) == 3 or (len(makes) == 2 and reads[0] == makes[0])


def stitch_cost(reads: Shape, makes: Shape) -> tuple[int, int]:
    """Parameters and MACs of a stitch."""
    width, wanted = channels(reads), channels(makes)
    scales = SCALES if _is_interpolated(reads, makes) else 0
    return (width + 1) * wanted + scales, width * wanted * positions(makes)


def _is_interpolated(reads: Shape, makes: Shape) -> bool:
    """Whether maps are brought to a size that no mean over windows gives."""
    if len(makes) != 3 or reads[1:] == makes[1:]:
        return False
    return bool(reads[1] % makes[1] or reads[2] % makes[2])


def channels(shape: Shape) -> int:
    """The features of a position."""
    return shape[-1] if len(shape) < 3 else shape[0]


def positions(shape: Shape) -> int:
    """How many positions features have."""
    return {1: 1, 2: shape[0]}.get(len(shape), int(np.prod(shape[1:])))


def resized(x: Tensor, makes: Shape) -> Tensor:
    """Features `(n, ...)` at the positions of `makes`."""
    if len(makes) == 1:
        return x if x.dim() == 2 else x.mean(dim=1) if x.dim() == 3 else x.flatten(2).mean(dim=2)
    if x.dim() != 4 or tuple(x.shape[2:]) == tuple(makes[1:]):
        return x
    height, width = makes[1:]
    if _is_interpolated(tuple(x.shape[1:]), makes):
        return functional.interpolate(x, (height, width), mode="bilinear", align_corners=False)
    return functional.avg_pool2d(x, (x.shape[2] // height, x.shape[3] // width))


def apply(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The linear map at every position."""
    if x.dim() == 4:
        return functional.conv2d(x, weight[:, :, None, None], bias)
    return functional.linear(x, weight, bias)


def fit_stitch(found: Tensor, wanted: Tensor) -> Stitch:
    """Fits a stitch by ridge regression; the ridge is the best for the last quarter of the samples.

    Args:
        found: What the block in front makes of the samples, `(n, *reads)`.
        wanted: What the block behind was fed in its own model, of the same samples, `(n, *makes)`.

    Raises:
        ValueError: They cannot be joined.
    """
    reads, makes = tuple(found.shape[1:]), tuple(wanted.shape[1:])
    if not joinable(reads, makes):
        raise ValueError(f"no stitch leads from {reads} to {makes}")
    x, y = _rows(resized(found, makes)), _rows(wanted)
    step = -(-len(x) // MOST_ROWS)
    x, y = x[::step].double(), y[::step].double()
    middle, target = x.mean(dim=0), y.mean(dim=0)
    x, y = x - middle, y - target
    kept = len(x) - len(x) // 4
    tried = _solutions(x[:kept], y[:kept])
    missed = [float(((y[kept:] - x[kept:] @ weight) ** 2).sum()) for weight in tried]
    best = min(range(len(RIDGES)), key=missed.__getitem__)
    weight = _solutions(x, y)[best].T
    return Stitch(
        reads,
        makes,
        np.ascontiguousarray(weight.numpy()),
        (target - weight @ middle).numpy(),
        rectified=bool((wanted >= 0).all()),
    )


@dataclass(frozen=True, eq=False)
class Goal:
    """What a stitch is to make, at some positions of samples.

    Attributes:
        makes: The shape of all of it, the sample aside.
        rows: `(rows, C')`, a row a position.
        step: Every how manieth position a row is of.
        rectified: Whether nothing of it is below zero.
    """

    makes: Shape
    rows: Tensor
    step: int
    rectified: bool

    @classmethod
    def of(cls, wanted: Tensor, rows: int = FEW_ROWS) -> Self:
        """At most so many positions of `(n, *makes)`, evenly chosen."""
        found = _rows(wanted)
        step = -(-len(found) // rows)
        return cls(tuple(wanted.shape[1:]), found[::step].clone(), step, bool((wanted >= 0).all()))


def fit_quickly(found: Tensor, goal: Goal, *, ridge: float = QUICK_RIDGE) -> Stitch:
    """Fits a stitch with one ridge: on a few positions good enough to compare pairs of blocks.

    Args:
        found: What is read of the samples, `(n, *reads)`.
        goal: What is to be made of it.
        ridge: As a share of the mean variance of what is read.
    """
    x, y = _rows(resized(found, goal.makes))[:: goal.step].double(), goal.rows.double()
    middle, target = x.mean(dim=0), y.mean(dim=0)
    x, y = x - middle, y - target
    gram = x.T @ x
    gram.diagonal().add_(ridge * max(float(gram.diagonal().mean()), TINY))
    weight = torch.linalg.solve(gram, x.T @ y).T.contiguous()
    bias = (target - weight @ middle).numpy()
    return Stitch(tuple(found.shape[1:]), goal.makes, weight.numpy(), bias, goal.rectified)


def _solutions(x: Tensor, y: Tensor) -> list[Tensor]:
    """The regressions of y on x, `(C, C')`, by ridge."""
    values, vectors = torch.linalg.eigh(x.T @ x)
    values = values.clamp(min=0.0)
    mean = max(float(values.mean()), TINY)
    seen = vectors.T @ (x.T @ y)
    return [vectors @ (seen / (values + ridge * mean)[:, None]) for ridge in RIDGES]


def _rows(x: Tensor) -> Tensor:
    """`(rows, features)`, a row a position of a sample."""
    return x.movedim(1, -1).flatten(0, -2) if x.dim() == 4 else x.flatten(0, -2)


def stitch_nodes(tape: ir.tape.Tape, value: ir.Value, stitch: Stitch, name: str) -> ir.Value:
    """Adds a stitch to a graph.

    Args:
        tape: Records the nodes.
        value: What it reads.
        stitch: The stitch.
        name: What its nodes' names begin with.
    """
    value = _resize_nodes(tape, value, stitch, name)
    weight, bias = stitch.weight.astype(np.float32), stitch.bias.astype(np.float32)
    shift = tape.initializer(ir.tensor(bias, name=f"{name}.bias"))
    if len(stitch.makes) == 3:
        kernel = tape.initializer(ir.tensor(weight[:, :, None, None], name=f"{name}.weight"))
        value = tape.op("Conv", [value, kernel, shift], name=f"{name}.map")
    elif len(stitch.makes) == 2:
        matrix = tape.initializer(ir.tensor(weight.T.copy(), name=f"{name}.weight"))
        value = tape.op("MatMul", [value, matrix], name=f"{name}.map")
        value = tape.op("Add", [value, shift], name=f"{name}.shift")
    else:
        matrix = tape.initializer(ir.tensor(weight.T.copy(), name=f"{name}.weight"))
        value = tape.op("Gemm", [value, matrix, shift], name=f"{name}.map")
    return tape.op("Relu", [value], name=f"{name}.relu") if stitch.rectified else value


def _resize_nodes(tape: ir.tape.Tape, value: ir.Value, stitch: Stitch, name: str) -> ir.Value:
    reads, makes = stitch.reads, stitch.makes
    if len(makes) == 1:
        if len(reads) == 3:
            value = tape.op("GlobalAveragePool", [value], name=f"{name}.mean")
            return tape.op("Flatten", [value], {"axis": 1}, name=f"{name}.flat")
        if len(reads) == 2:
            axes = tape.initializer(ir.tensor(np.array([1]), name=f"{name}.axes"))
            return tape.op("ReduceMean", [value, axes], {"keepdims": 0}, name=f"{name}.mean")
        return value
    if len(makes) < 3 or reads[1:] == makes[1:]:
        return value
    if not _is_interpolated(reads, makes):
        window = [reads[1] // makes[1], reads[2] // makes[2]]
        attributes = {"kernel_shape": window, "strides": window}
        return tape.op("AveragePool", [value], attributes, name=f"{name}.pool")
    scales = np.array([1.0, 1.0, makes[1] / reads[1], makes[2] / reads[2]], dtype=np.float32)
    given = tape.initializer(ir.tensor(scales, name=f"{name}.scales"))
    return tape.op(
        "Resize",
        [value, None, given],
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
        name=f"{name}.resize",
    )
