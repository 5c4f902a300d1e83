"""A job that only imports: whoever comes next does not wait for it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

ENTRY = "svckit.workers.preload:preload"
"""The name by which a worker finds `preload`."""


def preload(
    request: dict[str, Any],
    report: Callable[[dict[str, Any]], None],  # noqa: ARG001
) -> dict[str, Any]:
    """Imports modules.

    Args:
        request: ``modules``, their names.
        report: Is told nothing.
    """
    for module in request["modules"]:
        import_module(module)
    return {}
