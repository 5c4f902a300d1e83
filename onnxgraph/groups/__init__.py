"""Unit groups: which tensor axes must be cut together for one set of units."""

from onnxgraph.groups.analysis import find_group, unit_groups
from onnxgraph.groups.types import (
    Consumer,
    ParameterAxis,
    Recurrence,
    UnitGroup,
    ValueAxis,
    WholePart,
)

__all__ = [
    "Consumer",
    "ParameterAxis",
    "Recurrence",
    "UnitGroup",
    "ValueAxis",
    "WholePart",
    "find_group",
    "unit_groups",
]
