"""The operator table: the one place that says what an operator means, moves and costs.

Adding an operator is one row in the file of its family and one case in its test.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from onnxgraph.operators import (
    activation_rows,
    arithmetic_rows,
    attention_rows,
    comparison_rows,
    creation_rows,
    linear_rows,
    movement_rows,
    normaliser_rows,
    pooling_rows,
    recurrent_rows,
    reduction_rows,
    resampling_rows,
)
from onnxgraph.operators.operator import Operator

_FAMILIES = (
    activation_rows,
    arithmetic_rows,
    attention_rows,
    comparison_rows,
    creation_rows,
    linear_rows,
    movement_rows,
    normaliser_rows,
    pooling_rows,
    recurrent_rows,
    reduction_rows,
    resampling_rows,
)

TABLE: Mapping[str, Operator] = MappingProxyType(
    {row.name: row for family in _FAMILIES for row in family.ROWS}
)


def supported_operators() -> frozenset[str]:
    """Names of all operators of the default domain that a submitted graph may use."""
    return frozenset(TABLE)
