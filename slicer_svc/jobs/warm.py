"""Imports what all other jobs need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer_svc.jobs import check, plan, slice  # noqa: A004, F401


def warm(
    request: dict[str, Any],  # noqa: ARG001
    report: Callable[[dict[str, Any]], None],  # noqa: ARG001
) -> dict[str, Any]:
    """Does nothing: its module has been imported."""
    return {}
