"""The health check of containers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from svckit.lifecycle import Lifecycle, Runtime
from svckit.server import Service
from svckit.settings import ServerSettings


async def ready(*arguments: str) -> tuple[int | None, str]:
    """Runs the check as a container does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "svckit.ready", *arguments), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    return process.returncode, errors.decode().strip()


async def test_the_check_follows_the_health_of_the_server(tmp_path: Path) -> None:
    runtimes: list[Runtime] = []

    async def compose(_: ServerSettings, runtime: Runtime) -> Sequence[Service]:
        runtimes.append(runtime)
        return []

    path = tmp_path / "ready.json"
    # Bound to every address, as in a container.
    settings = ServerSettings(ready_file=path, metrics_address="0.0.0.0:0", insecure=True)
    lifecycle = Lifecycle(settings, compose)
    assert await ready(str(path)) == (1, "it has not started")
    await lifecycle.start()
    try:
        assert await ready(str(path)) == (0, "")
        await runtimes[0].readiness.set(False)
        assert await ready(str(path)) == (1, "it is NOT_SERVING")
    finally:
        facts = path.read_text()
        await lifecycle.shutdown()
    path.write_text(facts)  # As after a crash.
    code, problem = await ready(str(path))
    assert (code, problem[:9]) == (1, "no answer")


async def test_a_ready_file_that_cannot_be_read_is_no_readiness(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    for content in ("", "{}", json.dumps({"metrics_address": "nowhere"})):
        path.write_text(content)
        code, problem = await ready(str(path))
        assert (code, problem[:9]) == (1, "no answer")
    assert await ready() == (1, "name the ready file")
