"""One node as unit flow sees it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.operators.ledger import Ledger
from onnxgraph.operators.operator import Call, Dims
from onnxgraph.operators.units import NOTHING, AxisUnits, Grid, Grids, Indices, Labels, Layout


def dims_of(value: ir.Value | None) -> Dims:
    """A value's shape, None at symbolic sizes; `()` for an absent value or an unknown shape."""
    if value is None or value.shape is None:
        return ()
    return tuple(size if isinstance(size, int) else None for size in value.shape)


@dataclass(frozen=True, eq=False)
class Placed:
    """Where units stand in one value.

    Attributes:
        layout: Units that lie along one axis each.
        grids: Units that are spread over several axes.
    """

    layout: Layout = field(default_factory=dict)
    grids: Grids = ()

    @property
    def units(self) -> Indices:
        """All units of the value."""
        axes = [units.units for units in self.layout.values()]
        return np.concatenate(
            [*axes, *(grid.units.reshape(-1) for grid in self.grids), np.zeros(0, np.int64)]
        )


def placed(labels: Labels) -> Placed:
    """Units over no, one or several axes; those over none are not seen any more."""
    axes, units, phase = labels
    if len(axes) == 1:
        return Placed({axes[0]: AxisUnits(units, phase)})
    return Placed(grids=(Grid(axes, units, phase),)) if axes else Placed()


class Step:
    """A node, where units stand in its inputs, and the ledger to write into.

    A flow rule reads `layout(i)`, writes `emit(...)`, and freezes what it cannot follow with
    `block(...)`. What it does not emit holds no cuttable units. A rule that can follow units which
    are spread over several axes reads `grids(i)` too; where it does not, they stay whole.
    """

    def __init__(self, node: ir.Node, call: Call, inputs: Sequence[Placed], ledger: Ledger) -> None:
        self.node = node
        self.call = call
        self.ledger = ledger
        self._inputs = inputs
        self._followed: set[int] = set()
        self.emitted: dict[int, Placed] = {}

    @property
    def name(self) -> str:
        """The node's name."""
        return self.call.name

    @property
    def arity(self) -> int:
        """How many inputs the node has, absent ones included."""
        return len(self._inputs)

    def layout(self, index: int = 0) -> Layout:
        """Where units stand in input `index`."""
        return self._inputs[index].layout if index < len(self._inputs) else NOTHING

    def grids(self, index: int = 0) -> Grids:
        """Units of input `index` that are spread over several axes, for the rule to follow."""
        self._followed.add(index)
        return self._inputs[index].grids if index < len(self._inputs) else ()

    def dims(self, index: int = 0) -> Dims:
        """The shape of input `index`."""
        return dims_of(self.node.inputs[index]) if index < len(self.node.inputs) else ()

    def output_dims(self) -> Dims:
        """The shape of the first output."""
        return dims_of(self.node.outputs[0])

    def parameter(self, index: int) -> NDArray[np.generic] | None:
        """The constant at input `index`, or None if it is absent or computed."""
        if index >= len(self.node.inputs):
            return None
        value = self.node.inputs[index]
        if value is None or value.const_value is None or value.is_graph_input():
            return None
        return value.const_value.numpy()

    def emit(self, layout: Layout, grids: Grids = (), *, output: int = 0) -> None:
        """Sets where units stand in an output."""
        found = {axis: units for axis, units in layout.items() if units.present.size}
        self.emitted[output] = Placed(found, grids)

    def emit_all(self, found: Iterable[Placed], *, output: int = 0) -> None:
        """Sets where units stand in an output, from parts that share no axis."""
        layout: dict[int, AxisUnits] = {}
        grids: list[Grid] = []
        for part in found:
            layout.update(part.layout)
            grids.extend(part.grids)
        self.emit(layout, tuple(grids), output=output)

    def freeze(self, units: AxisUnits | Grid, why: str) -> None:
        """Keeps the units of one axis or grid whole, naming this node."""
        self.ledger.freeze(units.units, self.reason(why))

    def block(self, why: str) -> None:
        """Keeps every unit that reaches this node whole."""
        for placed in self._inputs:
            self.ledger.freeze(placed.units, self.reason(why))

    def tie(self, grid: Grid, axes: Collection[int]) -> Labels:
        """Makes units of whole lines along some axes of a grid: these are not cut across.

        Returns:
            What stands on the other axes of the grid.
        """
        chosen = set(axes) & set(grid.axes)
        self.ledger.tie(grid.lines(chosen), self.reason("joins units with places that hold none"))
        return grid.without(chosen)

    def across(self, grid: Grid, axis: int) -> AxisUnits:
        """Makes units of the slices of a grid across one axis, and gives them along that axis."""
        _, units, _ = self.tie(grid, set(grid.axes) - {axis})
        return AxisUnits(units, np.zeros_like(units))

    def finish(self) -> None:
        """Keeps spread units whole that the rule has not asked for."""
        for index, placed in enumerate(self._inputs):
            if index not in self._followed:
                for grid in placed.grids:
                    self.freeze(grid, "does not follow units that are spread over several axes")

    def reason(self, why: str) -> str:
        """`why`, with the node's operator and name in front."""
        return f"{self.call.op_type} '{self.name}' {why}"
