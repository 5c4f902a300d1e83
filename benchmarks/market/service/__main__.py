"""``python -m benchmarks.market.service``: searches among many models, through a running slicer.

The models are made: rows and specifications, without graphs and samples. Beside the searches
somebody asks for a model every few milliseconds: do searches keep the server from other calls?
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc, search_pb2_grpc
from sliceandpack.slicer.v1 import search_pb2 as pb

from benchmarks import arguments as take
from benchmarks.demo.services import stop
from benchmarks.market.service.stock import made_task, stock
from benchmarks.paper.command_line import FAILURES, write_measured
from specification.codec import to_bytes
from svckit.clients.channel import channel
from svckit.clients.settings import ClientSettings
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.market.service"
START_SECONDS = 120.0
FIRST_SECONDS = 290.0
"""The first search waits until all specifications are read; no call may take longer."""
PAUSE_SECONDS = 0.005
WARM_UP = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes ``search_service.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    failures = (*FAILURES, RuntimeError)
    return write_measured(_parser(), arguments, _measured, "search_service.json", failures)


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--out", type=Path, required=True, help="folder of results")
    add("--models", type=take.count, default=10_000, help="models in the market")
    add("--searches", type=take.count, default=200, help="searches of either kind")
    add("--seed", type=take.seed, default=0, help="of models and tasks")
    add("--threads", type=take.count, default=usable_cores(), help="processor threads")
    add("--force", action="store_true", help="replace a document that is there")
    return found


def _measured(given: argparse.Namespace) -> Mapping[str, object]:
    random = np.random.default_rng(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "state")
        state.mkdir()
        asyncio.run(stock(state, given.models, random))
        tasks = [
            pb.Task(specification=to_bytes(made_task(random)))
            for _ in range(min(given.searches, 20))
        ]
        return asyncio.run(_asked(Path(folder), tasks, given.searches))


async def _asked(folder: Path, tasks: Sequence[pb.Task], count: int) -> Mapping[str, object]:
    async with _slicer(folder) as (address, start_seconds, pid):
        settings = ClientSettings(address=address, deadline_seconds=FIRST_SECONDS)
        async with channel(settings) as opened:
            search = search_pb2_grpc.SearchStub(opened)
            models = models_pb2_grpc.ModelsStub(opened)
            async with _asking_beside(models) as reading:
                begin = time.monotonic()
                await search.SearchModels(pb.SearchModelsRequest(task=tasks[0]))
                first = time.monotonic() - begin

            async def of_models(task: pb.Task) -> None:
                await search.SearchModels(pb.SearchModelsRequest(task=task))

            async def of_classes(task: pb.Task) -> None:
                await search.SearchClasses(pb.SearchClassesRequest(task=task))

            async with _asking_beside(models) as beside:
                found = {
                    "models": await _times(of_models, tasks, count),
                    "classes": await _times(of_classes, tasks, count),
                }
            return {
                "start_seconds": start_seconds,
                "first_search_seconds": first,
                "resident_bytes": _resident_bytes(pid),
                **{f"search_{name}": _figures(times) for name, times in found.items()},
                "get_model_meanwhile": _figures(beside),
                "get_model_while_reading": _figures(reading),
            }


async def _times(
    call: Callable[[pb.Task], Awaitable[None]], tasks: Sequence[pb.Task], count: int
) -> list[float]:
    found = []
    for place in range(WARM_UP + count):
        begin = time.monotonic()
        await call(tasks[place % len(tasks)])
        if place >= WARM_UP:
            found.append(time.monotonic() - begin)
    return found


@asynccontextmanager
async def _asking_beside(models: models_pb2_grpc.ModelsAsyncStub) -> AsyncIterator[list[float]]:
    """Asks for a model every few milliseconds; yields how many seconds each answer took."""
    times: list[float] = []
    # Once at least, however quickly what is done beside is over.
    await _ask(models, times)
    asking = asyncio.create_task(_keep_asking(models, times))
    try:
        yield times
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def _keep_asking(models: models_pb2_grpc.ModelsAsyncStub, times: list[float]) -> None:
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        await _ask(models, times)


async def _ask(models: models_pb2_grpc.ModelsAsyncStub, times: list[float]) -> None:
    begin = time.monotonic()
    await models.GetModel(models_pb2.GetModelRequest(name="models/made-000000"))
    times.append(time.monotonic() - begin)


def _figures(seconds: Sequence[float]) -> Mapping[str, float]:
    """Milliseconds: the median, and what 95 and 99 of 100 stay below."""
    parts = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99}
    return {name: 1e3 * float(np.percentile(seconds, part)) for name, part in parts.items()}


def _resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("the slicer has ended")


@asynccontextmanager
async def _slicer(folder: Path) -> AsyncIterator[tuple[str, float, int]]:
    """Runs a slicer over a state folder; yields its address, when it served, and its process.

    Raises:
        RuntimeError: It did not start.
    """
    ready, log = folder / "ready.json", folder / "slicer.log"
    command = [sys.executable, "-m", "slicer_svc", "--address", "127.0.0.1:0"]
    command += ["--state-dir", str(folder / "state"), "--ready-file", str(ready)]
    begin = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream)  # noqa: ASYNC220, S603
        try:
            while not ready.exists():
                await asyncio.sleep(0.02)
                if process.poll() is not None or time.monotonic() > begin + START_SECONDS:
                    raise RuntimeError(f"the slicer did not start:\n{log.read_text()[-4000:]}")
            address = str(json.loads(ready.read_text())["address"])
            yield address, time.monotonic() - begin, process.pid
        finally:
            stop(process)


if __name__ == "__main__":
    sys.exit(main())
