import asyncio

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1.operation_events_pb2 import State

from svckit.errors import Unavailable
from svckit.operations.claims import Claims
from svckit.operations.job import JobContext
from tests.helpers.operations import KIND, Rig, Work, error_info, eventually, metadata, text_of

PROMISE = 5.0


async def heeds(context: JobContext, request: StringValue) -> StringValue:
    await context.cancelled.wait()
    raise asyncio.CancelledError


async def heeds_with_an_error(context: JobContext, request: StringValue) -> StringValue:
    await context.cancelled.wait()
    raise Unavailable(reasons.ERROR_REASON_WORKER_DIED, "It was killed.", advice="Try again.")


async def sleeps(context: JobContext, request: StringValue) -> StringValue:
    await asyncio.Event().wait()
    return request


async def refuses(context: JobContext, request: StringValue) -> StringValue:
    for _ in range(2):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
    return request


@pytest.mark.parametrize("work", [heeds, heeds_with_an_error, sleeps, refuses])
async def test_an_operation_that_runs_ends_cancelled_within_five_seconds(
    rig: Rig, work: Work
) -> None:
    async with rig.runner(work):
        name = (await rig.submit()).name
        await rig.running(name)
        await rig.store.cancel(name)
        await rig.pass_time_until(lambda: rig.is_done(name), most=PROMISE)
    operation = await rig.store.get(name)
    assert metadata(operation).state == State.STATE_CANCELLED
    assert operation.error.code == 1
    info = error_info(operation.error)
    assert (info.reason, info.metadata) == ("CANCELLED", {"operation": name})
    assert (await rig.events(name))[-1].state == State.STATE_CANCELLED


async def test_a_handler_that_heeds_its_cancellation_needs_no_grace(rig: Rig) -> None:
    async with rig.runner(heeds):
        name = (await rig.submit()).name
        await rig.running(name)
        await rig.store.cancel(name)
        assert metadata(await rig.done(name)).state == State.STATE_CANCELLED


async def test_what_is_finished_before_the_cancellation_can_act_stays_finished(rig: Rig) -> None:
    async def completes(context: JobContext, request: StringValue) -> StringValue:
        await context.cancelled.wait()
        return request

    async with rig.runner(completes):
        name = (await rig.submit()).name
        await rig.running(name)
        await rig.store.cancel(name)
        assert text_of(await rig.done(name)) == "text"


async def test_a_finished_operation_cannot_be_cancelled(rig: Rig) -> None:
    async def copy(_: JobContext, request: StringValue) -> StringValue:
        return request

    async with rig.runner(copy):
        finished = await rig.done((await rig.submit()).name)
        await rig.store.cancel(finished.name)
        await rig.clock.advance(PROMISE)
        assert await rig.store.get(finished.name) == finished


async def test_what_was_saved_before_the_cancellation_is_kept(rig: Rig) -> None:
    saved = asyncio.Event()
    kept: list[object] = []

    async def saves(context: JobContext, request: StringValue) -> StringValue:
        await context.save({"finished": ["cat"]})
        saved.set()
        await context.cancelled.wait()
        kept.append(context.state)
        raise asyncio.CancelledError

    async with rig.runner(saves):
        name = (await rig.submit()).name
        await saved.wait()
        await rig.store.cancel(name)
        await rig.done(name)
    assert kept == [{"finished": ["cat"]}]


async def test_an_operation_of_a_runner_that_hangs_is_cancelled_by_another(rig: Rig) -> None:
    name = (await rig.submit()).name
    assert await Claims(rig.backing).claim("elsewhere/1", [KIND], []) is not None
    async with rig.runner(sleeps):
        # What another process would do while the hanging one keeps its lease.
        await rig.store.cancel(name)
        await rig.pass_time_until(lambda: rig.is_done(name), most=PROMISE)
    assert metadata(await rig.store.get(name)).state == State.STATE_CANCELLED


async def test_a_retry_that_waits_is_cancelled_at_once(rig: Rig) -> None:
    async def fails(context: JobContext, request: StringValue) -> StringValue:
        raise Unavailable(reasons.ERROR_REASON_WORKER_DIED, "It died.", advice="Try again.")

    async with rig.runner(fails):
        name = (await rig.submit()).name
        await eventually(lambda: is_waiting(rig, name))
        await rig.store.cancel(name)
        assert await rig.is_done(name)


async def is_waiting(rig: Rig, name: str) -> bool:
    known = metadata(await rig.store.get(name))
    return known.attempt == 1 and known.state == State.STATE_QUEUED
