"""One node as unit flow sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from onnxgraph.operators.ledger import Ledger
from onnxgraph.operators.operator import Call, Dims
from onnxgraph.operators.units import NOTHING, AxisUnits, Layout


def dims_of(value: ir.Value | None) -> Dims:
    """A value's shape, None at symbolic sizes; `()` for an absent value or an unknown shape."""
    if value is None or value.shape is None:
        return ()
    return tuple(size if isinstance(size, int) else None for size in value.shape)


class Step:
    """A node, the unit layouts of its inputs, and the ledger to write into.

    A flow rule reads `layout(i)`, writes `emit(...)`, and freezes what it cannot follow with
    `block(...)`. What it does not emit holds no cuttable units.
    """

    def __init__(
        self, node: ir.Node, call: Call, layouts: Sequence[Layout], ledger: Ledger
    ) -> None:
        self.node = node
        self.call = call
        self.ledger = ledger
        self._layouts = layouts
        self.emitted: Layout = NOTHING

    @property
    def name(self) -> str:
        """The node's name."""
        return self.call.name

    @property
    def arity(self) -> int:
        """How many inputs the node has, absent ones included."""
        return len(self._layouts)

    def layout(self, index: int = 0) -> Layout:
        """Where units stand in input `index`."""
        return self._layouts[index] if index < len(self._layouts) else NOTHING

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

    def emit(self, layout: Layout) -> None:
        """Sets where units stand in the first output."""
        self.emitted = {axis: units for axis, units in layout.items() if units.present.size}

    def freeze(self, units: AxisUnits, why: str) -> None:
        """Keeps the units of one axis whole, naming this node."""
        self.ledger.freeze(units.units, self.reason(why))

    def block(self, why: str) -> None:
        """Keeps every unit that reaches this node whole."""
        for layout in self._layouts:
            for units in layout.values():
                self.freeze(units, why)

    def reason(self, why: str) -> str:
        """`why`, with the node's operator and name in front."""
        return f"{self.call.op_type} '{self.name}' {why}"
