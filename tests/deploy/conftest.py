"""All services in containers, once for all tests that walk through them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.helpers.containers import ComposeStack, Stack
from tests.helpers.release.release import Release, laptop_profile


@pytest.fixture(scope="session")
def compose_stack() -> Iterator[ComposeStack]:
    """The stack of deploy/compose, all of it ready."""
    stack = ComposeStack()
    try:
        stack.up()
        yield stack
    finally:
        sys.stderr.write(stack.logs())
        stack.down()


@pytest.fixture(scope="session")
def release() -> Iterator[Release]:
    """The laptop profile of the chart, all of it ready."""
    release = Release(laptop_profile())
    try:
        release.up()
        yield release
    finally:
        sys.stderr.write(release.logs())
        release.down()


@pytest.fixture(scope="session", params=["compose_stack", "release"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """One after the other, for what is to be so in both."""
    stack: Stack = request.getfixturevalue(request.param)
    return stack
