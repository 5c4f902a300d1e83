"""Between a worker's reports and `operation.v1.Progress`."""

from __future__ import annotations

from typing import Any

from sliceandpack.operation.v1.operation_events_pb2 import Progress


def step_of(report: dict[str, Any], class_label: str = "") -> Progress:
    """Returns the message of a worker's report.

    Args:
        report: ``{"phase", "layer", "done", "total"}``; the layer may be missing.
        class_label: The label of the class that is worked on.
    """
    return Progress(
        phase=report["phase"],
        class_label=class_label,
        layer=report.get("layer", ""),
        done=report["done"],
        total=report["total"],
        eta_seconds=-1,
    )
