"""Where torch really computes, found out by computing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def find_device(
    request: dict[str, Any],  # noqa: ARG001
    report: Callable[[dict[str, Any]], None],  # noqa: ARG001
) -> dict[str, Any]:
    """Computes a little with torch: the job of a worker that tells where it does.

    Args:
        request: Nothing.
        report: Is told nothing.

    Returns:
        ``torch``, a type of device.
    """
    return {"torch": torch_device()}


def torch_device() -> str:
    """Returns the type of device that torch computes on, ``cpu`` or ``cuda``."""
    if not torch.cuda.is_available():
        return "cpu"
    square = torch.eye(2, device="cuda")
    return (square @ square).device.type
