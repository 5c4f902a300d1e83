"""A server process for tests: ``python -m tests.helpers.mill [options]``."""

import asyncio
import sys
from collections.abc import Sequence

from svckit.lifecycle import Runtime
from svckit.process import run
from svckit.server import Service
from svckit.settings import ServerSettings


class MillSettings(ServerSettings, env_prefix="MILL_", cli_prog_name="mill"):
    """The settings of the mill."""

    stuck: bool = False
    """Whether a resource never closes."""


async def compose(settings: MillSettings, runtime: Runtime) -> Sequence[Service]:
    if settings.stuck:
        runtime.resources.push_async_callback(asyncio.Event().wait)
    return []


if __name__ == "__main__":
    sys.exit(run(MillSettings, compose, sys.argv[1:], "mill"))
