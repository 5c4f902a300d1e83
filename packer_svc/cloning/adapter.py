"""The adapter: a 1×1 convolution between a target's tensor and the part that is put in there.

Its first fit is closed: ridge regression from what the target computes to what the source computed
at the part's own place, over samples and positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.cuts import CutPoint
from onnxgraph.halves import INPUT
from onnxgraph.passes.raise_opset import WORKING_IR_VERSION, WORKING_OPSET

Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

OUTPUT = "adapted"
"""The output of an adapter."""
RESIZED = "resized"
"""What it reads, at the size of the part's tensor."""

RIDGE = 1e-3
"""The penalty of the regression, as a share of the mean variance of what is read."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """y = x·weight + bias at every position, and no value below 0 where the part had none.

    Attributes:
        weight: `(C of the target, C of the part)` float64.
        bias: `(C of the part,)` float64.
        rectified: Whether values below 0 become 0.
    """

    weight: Array
    bias: Array
    rectified: bool

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return int(self.weight.size + self.bias.size)

    def apply(self, values: FloatArray) -> FloatArray:
        """What the part reads `(n, C, …)`, of the target's tensor at the part's size."""
        rows = np.moveaxis(values, 1, -1).astype(np.float64) @ self.weight + self.bias
        if self.rectified:
            rows = np.maximum(rows, 0.0)
        return np.ascontiguousarray(np.moveaxis(rows, -1, 1), dtype=np.float32)


def fit_adapter(read: FloatArray, wanted: FloatArray) -> Adapter:
    """The adapter that brings one tensor nearest to another.

    Args:
        read: The target's tensor `(n, C, …)` on samples, at the size of the part's.
        wanted: The part's `(n, D, …)`.
    """
    x = np.moveaxis(read, 1, -1).reshape(-1, read.shape[1]).astype(np.float64)
    y = np.moveaxis(wanted, 1, -1).reshape(-1, wanted.shape[1]).astype(np.float64)
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    gram = (x - mean_x).T @ (x - mean_x)
    penalty = RIDGE * max(float(np.trace(gram)), np.finfo(np.float64).tiny) / len(gram)
    cross = (x - mean_x).T @ (y - mean_y)
    weight = np.linalg.solve(gram + penalty * np.eye(len(gram)), cross)
    return Adapter(weight, mean_y - mean_x @ weight, bool(wanted.min() >= 0))


def resizing(leave: CutPoint, enter: CutPoint) -> ir.Model | None:
    """A graph that brings the target's maps to the size of the part's; None where they have it."""
    if leave.shape[1:] == enter.shape[1:]:
        return None
    scales = [1.0, 1.0]
    scales += [theirs / mine for mine, theirs in zip(leave.shape[1:], enter.shape[1:], strict=True)]
    model, value = _open(leave.shape)
    factors = ir.tensor(np.array(scales, dtype=np.float32), name="adapter.scales")
    tape = ir.tape.Tape(model.graph)
    sizes = tape.initializer(factors)
    options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    resized = tape.op("Resize", [value, None, sizes], options, name="adapter.resize")
    return _closed(model, resized, RESIZED, (leave.shape[0], *enter.shape[1:]))


def as_graph(adapter: Adapter, shape: tuple[int, ...]) -> ir.Model:
    """An adapter as a graph of its own, from `INPUT` to `OUTPUT`.

    Args:
        adapter: The adapter.
        shape: What it reads of a sample.
    """
    model, value = _open(shape)
    tape = ir.tape.Tape(model.graph)
    weight = adapter.weight.astype(np.float32)
    maps = len(shape) > 1
    if maps:
        weight = np.ascontiguousarray(weight.T).reshape(weight.shape[1], -1, *[1] * len(shape[1:]))
    kept = tape.initializer(ir.tensor(weight, name="adapter.weight"))
    bias = tape.initializer(ir.tensor(adapter.bias.astype(np.float32), name="adapter.bias"))
    value = tape.op("Conv" if maps else "Gemm", [value, kept, bias], name="adapter.linear")
    if adapter.rectified:
        value = tape.op("Relu", [value], name="adapter.relu")
    return _closed(model, value, OUTPUT, (adapter.weight.shape[1], *shape[1:]))


def _open(shape: tuple[int, ...]) -> tuple[ir.Model, ir.Value]:
    kind = ir.TensorType(ir.DataType.FLOAT)
    value = ir.Value(name=INPUT, type=kind, shape=ir.Shape(["batch", *shape]))
    graph = ir.Graph([value], [], nodes=[], opset_imports={"": WORKING_OPSET}, name="adapter")
    return ir.Model(graph, ir_version=WORKING_IR_VERSION), value


def _closed(model: ir.Model, value: ir.Value, name: str, shape: tuple[int, ...]) -> ir.Model:
    value.name = name
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(["batch", *shape])
    model.graph.outputs.append(value)
    return model
