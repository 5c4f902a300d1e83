"""The job that tells where workers compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxgraph.devices import execution_provider, torch_device


def find_device(
    request: dict[str, Any],
    report: Callable[[dict[str, Any]], None],  # noqa: ARG001
) -> dict[str, Any]:
    """Computes a little with each library.

    Args:
        request: ``cuda``, whether CUDA is tried.
        report: Is told nothing.

    Returns:
        ``torch``, a type of device, and ``onnxruntime``, an execution provider.
    """
    return {"torch": torch_device(), "onnxruntime": execution_provider(cuda=request["cuda"])}
