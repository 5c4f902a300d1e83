"""Regression of what is read through a rectifier: below its floor, all values are the same."""

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.linear import linear_parts, weight_matrix
from onnxgraph.lookup import constant_of, node_named
from onnxgraph.parameters import bias_add
from slicer_svc.slicing.ridge import Regression, Waiting, WeightedRows

SWEEPS = 3
"""Fits after the first one, each towards what the one before leaves to explain."""


class RectifiedRegression:
    """Ridge regression whose errors below a floor do not count (Zhang et al., 2015, section 2.3).

    Minimises Σ w·(y − t)² over targets above the floor, and Σ w·max(t − floor, 0)² over the others,
    t = Wᵀx + b: convex, and never above its own bound at the solution before, the plain ridge
    regression to y above the floor and to min(t, floor) below it, of which a few are solved. All
    of them share one factor.
    """

    def __init__(self, rows: int, width: int, floor: Tensor) -> None:
        """Prepares for rows of `width` regressors.

        Args:
            rows: In all.
            width: k.
            floor: By output, `(o,)`.
        """
        self._plain = Regression(rows, width)
        self._floor = floor
        self._waiting = Waiting()
        self._rows: list[WeightedRows] = []

    def add(self, x: Tensor, y: Tensor, weights: Tensor) -> None:
        """Adds a minibatch; arguments as for `Moments.add`."""
        self._waiting.add((x, y, weights))
        if self._waiting.enough:
            self._gather()

    def _gather(self) -> None:
        """Takes the rows that wait together: fewer products of large matrices."""
        rows = self._waiting.take()
        if rows is not None:
            self._plain.add(*rows)
            self._rows.append(rows)

    def solve(
        self, centre: NDArray[np.float64], share: float, *, affine: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """See `Regression.solve`."""
        self._gather()
        weight, bias = self._plain.solve(centre, share, affine=affine)
        for _ in range(SWEEPS):
            self._plain.retarget([self._wanted(rows, weight, bias) for rows in self._rows])
            weight, bias = self._plain.solve(centre, share, affine=affine)
        return weight, bias

    def _wanted(
        self, rows: WeightedRows, weight: NDArray[np.float64], bias: NDArray[np.float64] | None
    ) -> WeightedRows:
        x, y, weights = rows
        floor = self._floor.to(y)
        fitted = x @ torch.from_numpy(weight).to(x)
        if bias is not None:
            fitted += torch.from_numpy(bias).to(x)
        return x, torch.where(y > floor, y, torch.minimum(fitted, floor)), weights


def floor_behind(model: ir.Model, node: str) -> NDArray[np.float64] | None:
    """Below which outputs of a linear node make no difference.

    Args:
        model: The graph.
        node: The node's name.

    Returns:
        By output, bias left out, float64 `(out,)`; None where something else than a rectifier
        reads the node.
    """
    found = node_named(model, node)
    if not linear_parts(model, found)[1].is_output:
        return None
    behind = bias_add(found)
    value = (found if behind is None else behind).outputs[0]
    readers = list(value.consumers())
    floors = {_floor(reader) for reader in readers}
    if value.is_graph_output() or len(floors) != 1:
        return None
    (floor,) = floors
    if floor is None:
        return None
    matrix, bias = weight_matrix(model, node)
    none = np.zeros(matrix.shape[1])
    return floor - (none if bias is None else bias.astype(np.float64))


def _floor(reader: ir.Node) -> float | None:
    """Below which a node gives one value for all of its input; None where it does not."""
    if reader.op_type == "Relu":
        return 0.0
    if reader.op_type == "HardSwish":
        return -3.0
    if reader.op_type == "Clip" and len(reader.inputs) > 1:
        least = constant_of(reader.inputs[1])
        return None if least is None else float(least.numpy())
    return None
