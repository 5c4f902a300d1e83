"""Reads measurements that were kept with a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slicer_svc.slicing.latency.machine import machine_name
from slicer_svc.slicing.latency.table import LatencyTable


def known_latency(path: str | None) -> LatencyTable | None:
    """The times of a model's nodes on this machine.

    Args:
        path: A file of such times by machine, None if there is none.
    """
    here = (read_kept(path) or {}).get(machine_name())
    return None if here is None else LatencyTable.from_json(here)


def read_kept(path: str | None) -> Any:  # noqa: ANN401
    """The JSON of a file, None without one."""
    return None if path is None else json.loads(Path(path).read_text())
