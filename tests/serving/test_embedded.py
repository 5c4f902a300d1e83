"""Setting up, starting, supervising and stopping the embedded Triton."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from serving.client import TritonClient
from serving.embedded.command import Ports
from serving.embedded.environment import locate
from serving.embedded.preflight import preflight
from serving.embedded.server import EmbeddedTriton, TritonOptions
from serving.embedded.supervisor import supervise
from serving.errors import TritonSetupError
from serving.repository import ModelRepository
from tests.helpers.packer import LONG_SECONDS
from tests.helpers.triton import (
    ROOT,
    add_classifier,
    living_children,
    living_stubs,
    process_is_alive,
    samples,
    server_process,
    triton_environment,
)


@pytest.fixture
async def own_triton(tmp_path: Path) -> AsyncIterator[EmbeddedTriton]:
    """A Triton of this test's own, prepared but not started."""
    (tmp_path / "models").mkdir()
    options = TritonOptions(tmp_path / "models", tmp_path / "backends", exit_seconds=2)
    triton = EmbeddedTriton(triton_environment(), options)
    await triton.prepare()
    yield triton
    await triton.stop()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG_SECONDS):
        while not condition():  # noqa: ASYNC110 - another process's doing, which sets no event.
            await asyncio.sleep(0.02)


def _shared_memory(triton: EmbeddedTriton) -> list[Path]:
    return list(Path("/dev/shm").glob(f"{triton.memory_prefix}*"))


def test_a_folder_that_is_no_environment_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(TritonSetupError, match="make setup"):
        locate(tmp_path)


def test_an_environment_without_the_server_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (tmp_path / "lib/python3.11/site-packages").mkdir(parents=True)
    with pytest.raises(TritonSetupError, match="tritonserver"):
        locate(tmp_path)


async def test_the_projects_environment_passes_the_preflight() -> None:
    await preflight(triton_environment())


@pytest.mark.parametrize(
    ("library", "advice"),
    [
        ("libpython3.11.so.1.0", "apt-get install libpython3.11"),
        ("libz.so.1", "apt-file search libz.so.1"),
    ],
)
async def test_the_preflight_names_the_package_of_a_missing_library(
    tmp_path: Path, library: str, advice: str
) -> None:
    environment = replace(triton_environment(), site_packages=tmp_path, python_version="3.11")
    environment.stub.parent.mkdir(parents=True)
    environment.stub.write_text(
        f"#!/bin/sh\necho 'stub: error while loading shared libraries: {library}: "
        "cannot open shared object file: No such file or directory' >&2\nexit 127\n"
    )
    environment.stub.chmod(0o755)
    with pytest.raises(TritonSetupError, match=advice):
        await preflight(environment)


@pytest.mark.parametrize("service", ["http", "grpc", "metrics"])
def test_a_port_that_another_triton_has_is_refused(triton: EmbeddedTriton, service: str) -> None:
    port = getattr(triton.ports, service)
    options = replace(triton.options, ports=Ports(**{service: port}))
    with pytest.raises(TritonSetupError, match=f"cannot have port {port}"):
        EmbeddedTriton(triton.environment, options)


async def test_a_triton_that_does_not_come_up_fails_with_its_last_words(
    own_triton: EmbeddedTriton, tmp_path: Path
) -> None:
    (tmp_path / "models").rmdir()
    with pytest.raises(TritonSetupError, match="failed to stat"):
        await own_triton.start()
    assert own_triton.pid is None


async def test_a_stopped_triton_leaves_no_process_and_no_shared_memory(
    own_triton: EmbeddedTriton, tmp_path: Path
) -> None:
    await own_triton.start()
    repository = ModelRepository(tmp_path)
    with repository.opened():
        add_classifier(repository, "m", 1, seed=1)
        repository.activate("m", (1,))
    async with TritonClient(own_triton.grpc_address, secret=own_triton.secret) as client:
        await client.load("m")
    processes = [server_process(own_triton), *living_stubs(own_triton)]
    assert len(processes) == 2
    assert _shared_memory(own_triton) != []
    await own_triton.stop()
    await own_triton.stop()
    await _until(lambda: not any(map(process_is_alive, processes)))
    assert _shared_memory(own_triton) == []


async def test_a_killed_triton_is_started_again_at_the_same_address(
    own_triton: EmbeddedTriton,
) -> None:
    await own_triton.start()
    restarted = asyncio.Event()
    supervisor = asyncio.create_task(supervise(own_triton, restarted.set))
    async with TritonClient(own_triton.grpc_address, secret=own_triton.secret) as client:
        for _ in range(2):
            restarted.clear()
            killed = server_process(own_triton)
            os.kill(killed, signal.SIGKILL)
            async with asyncio.timeout(LONG_SECONDS):
                await restarted.wait()
            assert server_process(own_triton) != killed
            assert await client.index() == ()
    supervisor.cancel()
    await asyncio.gather(supervisor, return_exceptions=True)


async def test_triton_and_its_stubs_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    repository = ModelRepository(tmp_path)
    with repository.opened():
        add_classifier(repository, "m", 1, seed=1)
        repository.activate("m", (1,))
    program = f"""
import asyncio, pathlib
import numpy as np
from serving.client import TritonClient
from serving.embedded.environment import locate
from serving.embedded.server import EmbeddedTriton, TritonOptions
async def main():
    root = pathlib.Path({str(tmp_path)!r})
    triton = EmbeddedTriton(
        locate(pathlib.Path({str(ROOT / ".triton")!r})),
        TritonOptions(root / "models", root / "backends"),
    )
    await triton.prepare()
    await triton.start()
    async with TritonClient(triton.grpc_address, secret=triton.secret) as client:
        await client.load("m")
        await client.infer("m", {{"x": np.zeros((1, 4), np.float32)}})
    (root / "pid").write_text(str(triton.pid))
    await asyncio.sleep(600)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT)
    file = tmp_path / "pid"
    await _until(lambda: file.exists() and file.read_text() != "")
    guardian = int(file.read_text())
    (server,) = living_children(guardian)
    processes = [guardian, server, *living_children(server)]
    assert len(processes) == 3
    parent.kill()
    await parent.wait()
    await _until(lambda: not any(map(process_is_alive, processes)))


async def test_a_killed_triton_takes_its_stubs_along(
    own_triton: EmbeddedTriton, tmp_path: Path
) -> None:
    repository = ModelRepository(tmp_path)
    with repository.opened():
        add_classifier(repository, "m", 1, seed=1)
        repository.activate("m", (1,))
    for _ in range(3):
        await own_triton.start()
        async with TritonClient(own_triton.grpc_address, secret=own_triton.secret) as client:
            await client.load("m")
            await client.infer("m", {"x": samples()})
        stubs = living_stubs(own_triton)
        assert len(stubs) == 1
        os.kill(server_process(own_triton), signal.SIGKILL)
        await own_triton.wait()
        await _until(lambda stubs=stubs: not any(map(process_is_alive, stubs)))  # type: ignore[misc]
        await own_triton.stop()


async def test_triton_is_started_again_even_if_its_guardian_was_killed_with_it(
    own_triton: EmbeddedTriton, tmp_path: Path
) -> None:
    repository = ModelRepository(tmp_path)
    with repository.opened():
        add_classifier(repository, "m", 1, seed=1)
        repository.activate("m", (1,))
    await own_triton.start()
    restarted = asyncio.Event()
    supervisor = asyncio.create_task(supervise(own_triton, restarted.set))
    async with TritonClient(own_triton.grpc_address, secret=own_triton.secret) as client:
        for _ in range(3):
            restarted.clear()
            await client.load("m")
            await client.infer("m", {"x": samples()})
            stubs = living_stubs(own_triton)
            assert own_triton.pid is not None
            server = server_process(own_triton)
            os.kill(own_triton.pid, signal.SIGKILL)
            with suppress(ProcessLookupError):  # The kernel may have been quicker.
                os.kill(server, signal.SIGKILL)
            async with asyncio.timeout(LONG_SECONDS):
                await restarted.wait()
            assert not any(map(process_is_alive, stubs))
    supervisor.cancel()
    await asyncio.gather(supervisor, return_exceptions=True)


async def test_the_environment_check_of_the_setup_says_what_to_do(tmp_path: Path) -> None:
    async def check(folder: Path) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "serving.embedded", folder),
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        _, errors = await process.communicate()
        return process.returncode, errors.decode()

    assert await check(ROOT / ".triton") == (0, "")
    code, errors = await check(tmp_path)
    assert code == 1
    assert "make setup" in errors
