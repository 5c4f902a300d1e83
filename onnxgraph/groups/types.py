"""What the analysis of a graph finds."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxgraph.operators.units import Indices


@dataclass(frozen=True)
class Consumer:
    """A linear node that reads a group's units: a repair stands at its data and fuses into it.

    Attributes:
        node: The name of the Conv, Gemm or MatMul.
        value: The node's data, at which the repair stands.
        weight: The node's weight initializer.
        bias: Its bias initializer (of the Add behind a MatMul), if it has one.
        unit_axis: The axis of `value` that holds the units.
        sample_axis: The axis of `value` along which samples lie: 0, but of steps in front 1 or 2.
        block: Places per unit on that axis: positions that Flatten merged with the units.
        units_last: Whether the places of a unit are interleaved with those of its neighbours (an
            NHWC Flatten: the repair is I ⊗ R) instead of side by side (R ⊗ I).
        offset_exact: Whether an offset of the repair folds into the bias: no zero padding.
        positions: `(units, block)` int64, where unit j stands on the axis; equal columns are equal
            positions. This is the whole truth; `block` and `units_last` describe it.
    """

    node: str
    value: str
    weight: str
    bias: str | None
    unit_axis: int
    sample_axis: int
    block: int
    units_last: bool
    offset_exact: bool
    positions: Indices = field(compare=False, repr=False)


@dataclass(frozen=True)
class Recurrence:
    """A recurrent node that reads its own units a step later: a repair fuses into its matrix R.

    Attributes:
        node: The name of the LSTM, GRU or RNN.
        value: Its states `(steps, 1, N, H)`.
        weight: R's initializer, `(1, gates · H, H)`.
        unit_axis: The axis of `value` that holds the units.
        sample_axis: The axis of `value` along which samples lie.
        positions: `(units, block)` int64, where unit j stands on the axis and on the last of R.
    """

    node: str
    value: str
    weight: str
    unit_axis: int
    sample_axis: int
    positions: Indices = field(compare=False, repr=False)

    @property
    def key(self) -> str:
        """A name beside those of consumers: the node may read the same units as data, too."""
        return f"{self.node}.recurrent"


@dataclass(frozen=True)
class ParameterAxis:
    """One axis of one constant that is cut along with a group.

    Attributes:
        node: The node that reads the constant.
        input: At which of its inputs.
        parameter: The initializer's name.
        axis: The axis that is cut.
        units: `(size,)` int64, the unit of the group at each place, -1 where there is none.
    """

    node: str
    input: int
    parameter: str
    axis: int
    units: Indices = field(compare=False, repr=False)


@dataclass(frozen=True)
class ValueAxis:
    """One axis of one computed value that becomes shorter when a group is cut.

    Attributes:
        value: The value's name.
        axis: Its axis.
        units: `(size,)` int64, the unit of the group at each place, -1 where there is none.
    """

    value: str
    axis: int
    units: Indices = field(compare=False, repr=False)


@dataclass(frozen=True)
class UnitGroup:
    """All tensor axes that must be cut together for one set of units.

    Attributes:
        id: The name of the first producer, with a number behind it from the second group of its
            units on: stable through cuts of other groups.
        units: How many units there are; a head or a group of channels is one.
        producers: The linear nodes that compute units; more than one if an Add or Mul couples them.
        passes: The nodes that units pass through, in topological order.
        consumers: The linear nodes that read the units, in topological order.
        recurrences: Those of the producers that read their own units a step later.
        value: Where unit j's own output is read: behind its activation, scale and MaxPool; of units
            of several places (heads, groups of channels) in front of their first consumer.
        unit_axis: The axis of `value` that holds the units.
        sample_axis: The axis of `value` along which samples lie.
        parameters: Constants to be cut, those of the producers first.
        values: Computed values whose shape changes.
        places: `(units, block)` int64, where unit j stands on `unit_axis` of `value`.
    """

    id: str
    units: int
    producers: tuple[str, ...]
    passes: tuple[str, ...]
    consumers: tuple[Consumer, ...]
    recurrences: tuple[Recurrence, ...]
    value: str
    unit_axis: int
    sample_axis: int
    parameters: tuple[ParameterAxis, ...] = field(repr=False)
    values: tuple[ValueAxis, ...] = field(repr=False)
    places: Indices = field(compare=False, repr=False)

    @property
    def coupled(self) -> bool:
        """Whether several producers must keep the same units (a residual Add, a gate)."""
        return len(self.producers) > 1


@dataclass(frozen=True)
class WholePart:
    """Units that are never cut.

    Attributes:
        nodes: The nodes that produce them.
        reason: One sentence that names the node in the way.
    """

    nodes: tuple[str, ...]
    reason: str
