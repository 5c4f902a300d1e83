"""A node whose data became shorter, as the rows of the operator table see it after a cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.lookup import constant_of
from onnxgraph.operators.units import Indices
from onnxgraph.parameters import set_parameter


@dataclass(frozen=True, eq=False)
class Shortened:
    """One axis of a value from which places went.

    Attributes:
        size: Its size before.
        left: `(size after,)` the places that stay, by their old numbers, rising.
    """

    size: int
    left: Indices

    def moved(self, place: int) -> int:
        """Where the boundary in front of an old place stands now."""
        return int(np.searchsorted(self.left, place))


@dataclass(frozen=True, eq=False)
class Shrunk:
    """A node whose inputs or outputs lost units; shapes and weights are cut already.

    A row's `shrink` rewrites what else in the node names sizes or places: a target shape, indices,
    a number of groups.

    Attributes:
        model: The graph, changed in place.
        node: The node.
        axes: The shortened axes of every value, by value name.
    """

    model: ir.Model
    node: ir.Node
    axes: Mapping[str, Mapping[int, Shortened]]

    def input(self, index: int = 0) -> Mapping[int, Shortened]:
        """The axes of input `index` that became shorter."""
        return self._of(self.node.inputs[index] if index < len(self.node.inputs) else None)

    def output(self) -> Mapping[int, Shortened]:
        """The axes of the first output that became shorter."""
        return self._of(self.node.outputs[0])

    def constant(self, index: int) -> NDArray[Any] | None:
        """A copy of the constant at input `index`, None without one."""
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        tensor = constant_of(value)
        return None if tensor is None else np.array(tensor.numpy())

    def set_constant(self, index: int, array: NDArray[Any]) -> None:
        """Gives input `index` a new constant."""
        set_parameter(self.model, self.node, index, array)

    def _of(self, value: ir.Value | None) -> Mapping[int, Shortened]:
        return {} if value is None else self.axes.get(value.name or "", {})
