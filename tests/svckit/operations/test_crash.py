"""A server of operations is killed without warning, and started again."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from sliceandpack.operation.v1.operation_events_pb2 import (
    OperationEvent,
    OperationMetadata,
    State,
    WatchOperationRequest,
)
from sliceandpack.operation.v1.operation_events_pb2_grpc import OperationEventsStub
from sliceandpack.slicer.v1 import models_pb2_grpc
from sliceandpack.slicer.v1.models_pb2 import SliceModelRequest, SliceModelResponse

from tests.helpers.operation_server import MADE, hold_file
from tests.helpers.operations import metadata

REQUEST = SliceModelRequest(
    name="models/m", plan="models/m/plans/p", labels=["cat", "dog", "owl", "cow"], request_id="r"
)


class Server:
    """A server process on a state folder."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._ready = folder / "ready.json"

    @classmethod
    async def start(cls, folder: Path) -> "Server":
        (folder / "ready.json").unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.helpers.operation_server",
            f"--state-dir={folder}",
            f"--ready-file={folder / 'ready.json'}",
        )
        server = cls(folder, process)
        async with asyncio.timeout(60):
            while not server._ready.exists():
                assert process.returncode is None
                await asyncio.sleep(0.02)
        return server

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[grpc.aio.Channel]:
        address = json.loads(self._ready.read_text())["address"]
        async with grpc.aio.insecure_channel(address) as channel:
            yield channel

    async def end(self, number: signal.Signals) -> int:
        if self.process.returncode is None:
            os.kill(self.process.pid, number)
        return await self.process.wait()


async def slicing(channel: grpc.aio.Channel) -> operations_pb2.Operation:
    operation = await models_pb2_grpc.ModelsStub(channel).SliceModel(REQUEST, timeout=20)
    assert isinstance(operation, operations_pb2.Operation)
    return operation


async def watched(
    channel: grpc.aio.Channel, name: str, after: int, until: str = ""
) -> list[OperationEvent]:
    """Watches up to the end, or until the work is at a class; the stream may break there."""
    request = WatchOperationRequest(name=name, after_sequence=after)
    events = []
    async with asyncio.timeout(30):
        async for event in OperationEventsStub(channel).WatchOperation(request):
            events.append(event)
            if until and event.progress.class_label == until:
                break
    return events


def made(folder: Path) -> list[str]:
    return (folder / MADE).read_text().split()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_server_that_ends_in_the_middle_of_work_goes_on_where_it_stood(
    tmp_path: Path, number: signal.Signals
) -> None:
    hold_file(tmp_path, "owl").touch()
    server = await Server.start(tmp_path)
    try:
        async with server.channel() as channel:
            name = (await slicing(channel)).name
            before = await watched(channel, name, after=0, until="owl")
        await server.end(number)
        assert made(tmp_path) == ["cat", "dog"]

        hold_file(tmp_path, "owl").unlink()
        server = await Server.start(tmp_path)
        async with server.channel() as channel:
            after = await watched(channel, name, after=before[-1].sequence)
            assert (await slicing(channel)).name == name
            operation = await finished(channel, name)
    finally:
        await server.end(signal.SIGKILL)

    assert made(tmp_path) == ["cat", "dog", "owl", "cow"]
    numbers = [event.sequence for event in (*before, *after)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert after[-1].state == State.STATE_SUCCEEDED
    response = SliceModelResponse()
    assert operation.response.Unpack(response)
    assert len(response.fragments) == 4
    known: OperationMetadata = metadata(operation)
    assert (known.attempt, known.last_sequence) == (2, numbers[-1])


async def finished(channel: grpc.aio.Channel, name: str) -> operations_pb2.Operation:
    request = operations_pb2.WaitOperationRequest(name=name)
    operation = await operations_pb2_grpc.OperationsStub(channel).WaitOperation(request)
    assert isinstance(operation, operations_pb2.Operation)
    assert operation.done
    return operation


async def test_what_was_queued_is_done_after_a_crash(tmp_path: Path) -> None:
    hold_file(tmp_path, "cat").touch()
    server = await Server.start(tmp_path)
    try:
        async with server.channel() as channel:
            stub = models_pb2_grpc.ModelsStub(channel)
            names = []
            for count in range(6):
                request = SliceModelRequest(
                    name="models/m", plan="models/m/plans/p", labels=["cat", str(count)]
                )
                names.append((await stub.SliceModel(request, timeout=20)).name)
        await server.end(signal.SIGKILL)
        hold_file(tmp_path, "cat").unlink()
        server = await Server.start(tmp_path)
        async with server.channel() as channel:
            for name in names:
                await finished(channel, name)
    finally:
        await server.end(signal.SIGKILL)
    assert sorted(made(tmp_path)) == sorted(["cat"] * 6 + [str(count) for count in range(6)])
