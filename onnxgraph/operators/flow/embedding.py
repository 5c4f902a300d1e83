"""Unit flow out of an embedding: a Gather of the rows of a table begins units on its columns."""

from __future__ import annotations

from onnxgraph.operators.step import Step


def embeds(step: Step) -> bool:
    """Whether a Gather takes computed rows of a constant matrix."""
    table = step.parameter(0)
    return (
        table is not None
        and table.ndim == 2
        and table.dtype.kind == "f"
        and step.parameter(1) is None
        and step.call.integer("axis", 0) in (0, -2)
    )


def embedded(step: Step) -> None:
    """The columns of the table are fresh units, on the last axis of the output."""
    table = step.parameter(0)
    assert table is not None
    units = step.ledger.produce(step.name, table.shape[1])
    step.ledger.cut_along(step.name, 0, 1, units)
    step.emit({len(step.dims(1)): units})
