"""What a classifier of a clone may read beside the last features: means over maps further in front.

Both models have learnt to tell their own classes apart and to forget all else: what would tell one
model's classes from the other's is mostly gone from their last features, and still there in front.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxgraph.classifier import FEATURES
from onnxgraph.cuts import CutPoint, cut_points
from onnxgraph.lookup import values_by_name
from onnxgraph.serialise import from_trusted_bytes, to_bytes

MAPS = 3
"""Axes of a sample of maps."""


def tapped(graph: bytes) -> bytes:
    """A fragment whose features are followed by the mean of each map of its cut points.

    Of cut points with maps of one size, the last. A graph without maps in front stays as it is.

    Args:
        graph: With the outputs of a fragment.
    """
    model = from_trusted_bytes(graph)
    points = _last_of_each_size(cut_points(model))
    if not points:
        return graph
    values = values_by_name(model.graph)
    old = values[FEATURES]
    old.name = "features_untapped"
    tape = ir.tape.Tape(model.graph)
    read = [old]
    for point in points:
        mean = tape.op("GlobalAveragePool", [values[point.value]])
        read.append(tape.op("Flatten", [mean], {"axis": 1}))
    width = sum(point.shape[0] for point in points)
    joined = tape.op("Concat", read, {"axis": 1})
    joined.name, joined.type = FEATURES, old.type
    known = old.shape[1] if old.shape is not None else 0
    assert isinstance(known, int)
    joined.shape = ir.Shape(["batch", known + width])
    outputs = list(model.graph.outputs)
    model.graph.outputs.clear()
    model.graph.outputs.extend(joined if value is old else value for value in outputs)
    for place, node in enumerate(model.graph):
        node.name = node.name or f"tap{place}"
        for value in node.outputs:
            value.name = value.name or f"tap{place}.value"
    return to_bytes(model)


def _last_of_each_size(points: tuple[CutPoint, ...]) -> list[CutPoint]:
    found = {point.shape[1:]: point for point in points if len(point.shape) == MAPS}
    return list(found.values())
