"""The stack of deploy/compose, once for all tests that walk through it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.helpers.containers import ComposeStack


@pytest.fixture(scope="session")
def stack() -> Iterator[ComposeStack]:
    """Slicer, packer, reconciler and Triton in containers, all ready."""
    stack = ComposeStack()
    try:
        stack.compose("up", "--detach")
        for service in ("slicer", "packer", "reconciler"):
            stack.container(service).until_ready()
        yield stack
    finally:
        sys.stderr.write(stack.compose("logs", "--no-color", "--tail", "50"))
        stack.compose("down", "--volumes", "--timeout", "45")
