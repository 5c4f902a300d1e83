import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import StringValue
from sliceandpack.operation.v1.operation_events_pb2 import (
    OperationEvent,
    State,
    WatchOperationRequest,
)
from sliceandpack.operation.v1.operation_events_pb2_grpc import OperationEventsStub

from svckit.errors import InvalidArgument, NotFound, ServiceError, Unavailable
from svckit.operations.backing import Backing
from svckit.operations.job import JobContext
from svckit.operations.services import operation_services
from svckit.operations.store import OperationStore
from svckit.paging import PageTokens
from svckit.status import from_rpc_error
from tests.helpers.loopback import Loopback, loopback
from tests.helpers.operations import Rig, error_info, progress, text_of


@pytest.fixture
async def server(rig: Rig) -> AsyncIterator[Loopback]:
    services = operation_services(rig.store, rig.backing, PageTokens(b"key"))
    async with loopback(*services) as server:
        yield server


@pytest.fixture
def operations(server: Loopback) -> "operations_pb2_grpc.OperationsStub":
    return operations_pb2_grpc.OperationsStub(server.channel)


class Steps:
    """Work whose progress a test decides."""

    def __init__(self) -> None:
        self._steps: asyncio.Queue[int | None] = asyncio.Queue()

    async def __call__(self, context: JobContext, request: StringValue) -> StringValue:
        while (done := await self._steps.get()) is not None:
            context.note(progress(done))
        return request

    def step(self, done: int) -> None:
        self._steps.put_nowait(done)

    def end(self) -> None:
        self._steps.put_nowait(None)


async def failure(call: "grpc.aio.UnaryUnaryCall[object, object]") -> ServiceError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


def watch(
    server: Loopback, name: str, after: int = 0
) -> "grpc.aio.UnaryStreamCall[WatchOperationRequest, OperationEvent]":
    request = WatchOperationRequest(name=name, after_sequence=after)
    return OperationEventsStub(server.channel).WatchOperation(request)


async def following(events: AsyncIterator[OperationEvent]) -> OperationEvent:
    async with asyncio.timeout(20):
        return await anext(events)


async def test_an_operation_can_be_read_listed_cancelled_and_deleted(
    rig: Rig, operations: "operations_pb2_grpc.OperationsStub"
) -> None:
    name = (await rig.submit()).name
    assert not (await operations.GetOperation(operations_pb2.GetOperationRequest(name=name))).done
    listed = await operations.ListOperations(operations_pb2.ListOperationsRequest())
    assert [operation.name for operation in listed.operations] == [name]
    await operations.CancelOperation(operations_pb2.CancelOperationRequest(name=name))
    operation = await operations.GetOperation(operations_pb2.GetOperationRequest(name=name))
    assert error_info(operation.error).reason == "CANCELLED"
    await operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=name))
    gone = await failure(operations.GetOperation(operations_pb2.GetOperationRequest(name=name)))
    assert isinstance(gone, NotFound)


async def test_waiting_ends_with_the_operation(
    rig: Rig, operations: "operations_pb2_grpc.OperationsStub"
) -> None:
    steps = Steps()
    async with rig.runner(steps):
        name = (await rig.submit()).name
        waiting = asyncio.ensure_future(
            operations.WaitOperation(operations_pb2.WaitOperationRequest(name=name))
        )
        await rig.running(name)
        assert not waiting.done()
        steps.end()
        assert text_of(await waiting) == "text"


async def test_waiting_for_no_time_returns_how_it_stands(
    rig: Rig, operations: "operations_pb2_grpc.OperationsStub"
) -> None:
    name = (await rig.submit()).name
    request = operations_pb2.WaitOperationRequest(name=name, timeout=Duration())
    assert not (await operations.WaitOperation(request)).done


async def test_waiting_ends_after_its_timeout(
    rig: Rig, operations: "operations_pb2_grpc.OperationsStub"
) -> None:
    name = (await rig.submit()).name
    request = operations_pb2.WaitOperationRequest(name=name, timeout=Duration(seconds=3))
    waiting = asyncio.ensure_future(operations.WaitOperation(request))

    async def answered() -> bool:
        return bool(waiting.done())

    await rig.pass_time_until(answered, most=30)
    assert not (await waiting).done


async def test_a_watch_tells_all_that_happens_and_ends_with_the_last_event(
    rig: Rig, server: Loopback
) -> None:
    steps = Steps()
    async with rig.runner(steps):
        name = (await rig.submit()).name
        events = aiter(watch(server, name))
        seen = [await following(events), await following(events)]
        steps.step(1)
        # No time passes on the clock: the watch does not find this out by asking the tables.
        seen.append(await following(events))
        steps.end()
        seen += [event async for event in events]
    assert [event.sequence for event in seen] == [1, 2, 3, 4]
    assert [event.state for event in seen] == [
        State.STATE_QUEUED,
        State.STATE_RUNNING,
        State.STATE_RUNNING,
        State.STATE_SUCCEEDED,
    ]
    assert (seen[2].progress.done, seen[2].progress.phase) == (1, "adaptation")
    assert {event.name for event in seen} == {name}


async def test_a_watch_goes_on_after_the_last_event_that_was_seen(
    rig: Rig, server: Loopback
) -> None:
    async with rig.runner(Steps()):
        name = (await rig.submit()).name
        await rig.running(name)
        broken = watch(server, name)
        assert (await following(aiter(broken))).sequence == 1
        broken.cancel()
        await rig.store.cancel(name)
        await rig.pass_time_until(lambda: rig.is_done(name), most=5)
    rest = [event async for event in watch(server, name, after=1)]
    assert [event.sequence for event in rest] == [2, 3]
    assert rest[-1].state == State.STATE_CANCELLED
    assert [event async for event in watch(server, name, after=3)] == []


async def test_many_watchers_see_the_same(rig: Rig, server: Loopback) -> None:
    async def all_events(name: str) -> list[int]:
        return [event.sequence async for event in watch(server, name)]

    steps = Steps()
    async with rig.runner(steps):
        name = (await rig.submit()).name
        watchers = [asyncio.create_task(all_events(name)) for _ in range(20)]
        await rig.running(name)
        steps.step(5)
        steps.end()
        seen = await asyncio.gather(*watchers)
    assert seen == [[event.sequence for event in await rig.events(name)]] * 20


async def test_changes_of_another_process_are_seen_after_a_while(
    rig: Rig, server: Loopback
) -> None:
    name = (await rig.submit()).name
    events = aiter(watch(server, name))
    await following(events)
    # Of another ground the changes in this one are not heard.
    elsewhere = Backing(rig.backing.database, rig.clock, rig.backing.settings, rig.backing.metrics)
    await OperationStore(elsewhere).cancel(name)
    last = asyncio.ensure_future(following(events))

    async def seen() -> bool:
        return last.done()

    await rig.pass_time_until(seen, most=2 * rig.backing.settings.poll)
    assert (await last).state == State.STATE_CANCELLED


@pytest.mark.parametrize("after", [-1, 99])
async def test_a_watch_after_an_event_that_never_was_is_refused(
    rig: Rig, server: Loopback, after: int
) -> None:
    name = (await rig.submit()).name
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await following(aiter(watch(server, name, after)))
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgument)
    assert [violation.field for violation in error.violations] == ["after_sequence"]


async def test_a_watch_of_an_unknown_operation_is_refused(server: Loopback) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await following(aiter(watch(server, "operations/none")))
    assert isinstance(from_rpc_error(caught.value), NotFound)


async def test_a_watch_ends_when_its_operation_is_deleted(rig: Rig, server: Loopback) -> None:
    name = (await rig.submit()).name
    events = aiter(watch(server, name))
    await following(events)
    await rig.store.delete(name)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await following(events)
    assert isinstance(from_rpc_error(caught.value), NotFound)


async def test_a_watch_ends_when_the_server_stops(rig: Rig, server: Loopback) -> None:
    name = (await rig.submit()).name
    events = aiter(watch(server, name))
    await following(events)
    stopping = asyncio.create_task(server.lifecycle.shutdown())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await following(events)
    assert isinstance(from_rpc_error(caught.value), Unavailable)
    await stopping
