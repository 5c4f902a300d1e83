import asyncio

import pytest
from google.protobuf.wrappers_pb2 import Int64Value, StringValue
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1.operation_events_pb2 import (
    OperationMetadata,
    Progress,
    State,
)
from structlog.testing import capture_logs

from svckit.database import Database
from svckit.errors import InvalidArgument, NotFound, Unavailable
from svckit.operations.job import JobContext
from svckit.operations.settings import OperationSettings
from tests.helpers.operations import (
    KIND,
    Rig,
    Work,
    error_info,
    eventually,
    make_rig,
    metadata,
    progress,
    text_of,
)


async def shout(_: JobContext, request: StringValue) -> StringValue:
    return StringValue(value=request.value.upper())


def raising(error: BaseException) -> Work:
    async def work(_: JobContext, request: StringValue) -> StringValue:
        raise error

    return work


def failing(times: int) -> Work:
    async def work(context: JobContext, request: StringValue) -> StringValue:
        if context.job.attempt <= times:
            raise Unavailable(
                reasons.ERROR_REASON_WORKER_DIED, "A worker died.", advice="Try again."
            )
        return request

    return work


async def test_work_ends_with_the_response_of_its_handler(rig: Rig) -> None:
    async with rig.runner(shout):
        name = (await rig.submit("text")).name
        operation = await rig.done(name)
    assert text_of(operation) == "TEXT"
    known = metadata(operation)
    assert (known.state, known.attempt) == (State.STATE_SUCCEEDED, 1)
    assert known.HasField("start_time")
    assert known.HasField("end_time")
    events = await rig.events(name)
    assert [event.sequence for event in events] == [1, 2, 3]
    assert [event.state for event in events] == [
        State.STATE_QUEUED,
        State.STATE_RUNNING,
        State.STATE_SUCCEEDED,
    ]


async def test_work_that_was_submitted_before_the_start_is_done_in_its_order(rig: Rig) -> None:
    order: list[str] = []

    async def note(_: JobContext, request: StringValue) -> StringValue:
        order.append(request.value)
        return request

    names = []
    for text in "abcde":
        names.append((await rig.submit(text)).name)
        await rig.clock.advance(1)
    async with rig.runner(note):
        for name in names:
            await rig.done(name)
    assert order == list("abcde")


async def test_a_handlers_error_becomes_the_operations_error(rig: Rig) -> None:
    error = InvalidArgument(
        reasons.ERROR_REASON_LABELS_MISMATCH,
        "There are 3 labels for 10 outputs.",
        advice="Name every output.",
        metadata={"labels": "3", "outputs": "10"},
    )
    async with rig.runner(raising(error)):
        operation = await rig.done((await rig.submit()).name)
    assert operation.done
    assert (operation.error.code, operation.error.message) == (3, error.message)
    info = error_info(operation.error)
    assert (info.reason, info.metadata["outputs"]) == ("LABELS_MISMATCH", "10")
    assert metadata(operation).state == State.STATE_FAILED


async def test_an_unforeseen_fault_is_told_to_the_log_alone(rig: Rig) -> None:
    with capture_logs() as logs:
        async with rig.runner(raising(RuntimeError("the password is 1234"))):
            operation = await rig.done((await rig.submit()).name)
    assert error_info(operation.error).reason == "INTERNAL"
    assert "1234" not in str(operation)
    assert any("1234" in str(line.get("exc_info")) for line in logs)


async def test_a_request_of_another_type_than_the_handlers_fails_the_operation(rig: Rig) -> None:
    async with rig.runner(shout):
        other = await rig.store.submit(KIND, Int64Value(value=1), OperationMetadata())
        assert error_info((await rig.done(other.name)).error).reason == "INTERNAL"


async def test_work_without_a_handler_waits_for_one(rig: Rig) -> None:
    other = await rig.store.submit("Unknown", StringValue(), OperationMetadata())
    async with rig.runner(shout):
        await rig.done((await rig.submit()).name)
        assert metadata(await rig.store.get(other.name)).state == State.STATE_QUEUED


def test_a_kind_has_one_handler(rig: Rig) -> None:
    with pytest.raises(ValueError, match="handler already"):
        rig.runner(shout).register(KIND, shout, StringValue)


async def test_no_more_operations_run_at_once_than_allowed(database: Database) -> None:
    rig = make_rig(database, OperationSettings(concurrency=2))
    go_on = asyncio.Event()
    running: set[str] = set()
    most = 0

    async def count(context: JobContext, request: StringValue) -> StringValue:
        nonlocal most
        running.add(context.job.operation)
        most = max(most, len(running))
        await go_on.wait()
        running.discard(context.job.operation)
        return request

    async def two_run() -> bool:
        return len(running) == 2

    names = [(await rig.submit()).name for _ in range(6)]
    async with rig.runner(count):
        await eventually(two_run)
        await rig.clock.advance(1)
        go_on.set()
        for name in names:
            await rig.done(name)
    assert most == 2


async def test_a_fault_that_may_pass_is_tried_again_after_a_pause(rig: Rig) -> None:
    async with rig.runner(failing(times=2)):
        name = (await rig.submit()).name
        await eventually(lambda: is_queued_again(rig, name))
        took = await rig.pass_time_until(lambda: rig.is_done(name), most=10)
    assert metadata(await rig.store.get(name)).attempt == 3
    assert text_of(await rig.store.get(name)) == "text"
    assert took >= 1 + 2


async def is_queued_again(rig: Rig, name: str) -> bool:
    known = metadata(await rig.store.get(name))
    return known.attempt == 1 and known.state == State.STATE_QUEUED


async def test_attempts_are_limited_and_the_last_error_is_the_operations(rig: Rig) -> None:
    async with rig.runner(failing(times=99)):
        name = (await rig.submit()).name
        await rig.pass_time_until(lambda: rig.is_done(name), most=10)
    operation = await rig.store.get(name)
    assert metadata(operation).attempt == 3
    assert error_info(operation.error).reason == "WORKER_DIED"


async def test_a_kind_without_retries_ends_with_its_first_error(rig: Rig) -> None:
    async with rig.runner(failing(times=1), retry=False):
        name = (await rig.submit()).name
        await rig.pass_time_until(lambda: rig.is_done(name), most=10)
    operation = await rig.store.get(name)
    assert metadata(operation).attempt == 1
    assert error_info(operation.error).reason == "WORKER_DIED"


async def test_an_attempt_that_takes_too_long_is_ended(rig: Rig) -> None:
    async def sleep(_: JobContext, request: StringValue) -> StringValue:
        await asyncio.Event().wait()
        return request

    async with rig.runner(sleep, seconds=7):
        name = (await rig.submit()).name
        await rig.running(name)
        took = await rig.pass_time_until(lambda: rig.is_done(name), most=10)
    assert took >= 7
    assert error_info((await rig.store.get(name)).error).reason == "DEADLINE_EXCEEDED"


async def test_progress_is_written_no_more_often_than_allowed_and_never_lost(rig: Rig) -> None:
    go_on = asyncio.Event()

    async def count(context: JobContext, request: StringValue) -> StringValue:
        for done in range(8):
            await context.report(progress(done))
        await go_on.wait()
        await context.report(Progress(phase="pooling", done=9, total=10))
        return request

    async def noted(count: int) -> bool:
        return len(await rig.events(name)) >= count

    async with rig.runner(count):
        name = (await rig.submit()).name
        await eventually(lambda: noted(3))
        await rig.clock.advance(0.5)
        await eventually(lambda: noted(4))
        go_on.set()
        await rig.done(name)
    reported = [event.progress for event in await rig.events(name)]
    done = [one.done for one in reported]
    assert done[:2] == [0, 0]
    assert 7 in done
    assert reported[-1].phase == "pooling"
    assert len(done) <= 6


async def test_progress_has_an_eta(rig: Rig) -> None:
    async def count(context: JobContext, request: StringValue) -> StringValue:
        context.note(progress(0))
        await rig.clock.sleep(4)
        context.note(progress(2))
        await rig.clock.sleep(4)
        return request

    async with rig.runner(count):
        name = (await rig.submit()).name
        await rig.running(name)
        await rig.pass_time_until(lambda: rig.is_done(name), most=20)
    etas = [event.progress.eta_seconds for event in await rig.events(name)]
    assert any(10 < eta < 20 for eta in etas), etas


async def test_two_runners_never_run_the_same_operation(database: Database) -> None:
    rig = make_rig(database)
    runs: list[str] = []

    async def note(context: JobContext, request: StringValue) -> StringValue:
        runs.append(context.job.operation)
        await asyncio.sleep(0)
        return request

    names = [(await rig.submit()).name for _ in range(30)]
    async with rig.runner(note), rig.runner(note):
        for name in names:
            await rig.done(name)
    assert sorted(runs) == sorted(names)


async def test_an_abandoned_operation_goes_on_unseen_and_leaves_nothing(rig: Rig) -> None:
    go_on = asyncio.Event()
    ended: list[str] = []

    async def wait(_: JobContext, request: StringValue) -> StringValue:
        await go_on.wait()
        ended.append(request.value)
        return request

    async with rig.runner(wait):
        name = (await rig.submit("unwanted")).name
        await rig.running(name)
        await rig.store.delete(name)
        with pytest.raises(NotFound):
            await rig.store.get(name)
        go_on.set()
    assert ended == ["unwanted"]
    assert await rig.names() == []
    await rig.backing.observe_all()
    assert gauge(rig, "sliceandpack_operations", kind=KIND, state="RUNNING") is None


def gauge(rig: Rig, name: str, **labels: str) -> float | None:
    return rig.backing.metrics.registry.get_sample_value(name, labels)


async def test_operations_are_counted_and_timed(rig: Rig) -> None:
    other = (await rig.store.submit("Unknown", StringValue(), OperationMetadata())).name

    async def counted() -> bool:
        return gauge(rig, "sliceandpack_operations", kind=KIND, state="SUCCEEDED") == 1

    async with rig.runner(shout):
        await rig.done((await rig.submit()).name)
        await eventually(counted)
    assert gauge(rig, "sliceandpack_queue_depth", queue="operations") == 1
    await rig.clock.advance(3)
    await rig.store.cancel(other)
    seconds = "sliceandpack_operation_seconds_sum"
    assert gauge(rig, seconds, kind="Unknown", state="CANCELLED") == 3
