"""Unit flow into shape arithmetic: a size that is read at run time cannot change."""

from __future__ import annotations

from onnxgraph.operators.step import Step


def reads_shape(step: Step) -> None:
    """Shape: units of the axes whose size is read stay whole."""
    rank = len(step.dims())
    stop = step.call.attributes.get("end")
    read = range(rank)[slice(step.call.integer("start", 0), stop)]
    for axis, units in step.layout().items():
        if axis in read:
            step.freeze(units, "reads the size of a unit axis")
