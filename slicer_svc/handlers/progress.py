"""Between a worker's reports and `operation.v1.Progress`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sliceandpack.operation.v1.operation_events_pb2 import Progress


def step_of(report: dict[str, Any], labels: Sequence[str] = ()) -> Progress:
    """Returns the message of a worker's report.

    Args:
        report: ``{"phase", "class_label", "layer", "done", "total"}``; class and layer may be
            missing.
        labels: The labels of the classes that reports name by their places.
    """
    place = report.get("class_label")
    return Progress(
        phase=report["phase"],
        class_label="" if place is None else labels[place],
        layer=report.get("layer", ""),
        done=report["done"],
        total=report["total"],
        eta_seconds=-1,
    )
