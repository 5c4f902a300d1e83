"""The database fails for a while; nothing is lost and nobody has to restart the service."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from svckit.database import Database
from svckit.operations.job import JobContext
from svckit.upkeep import Upkeep
from tests.helpers.operations import Rig, eventually, metadata, progress, text_of


class Fault:
    """Makes every statement fail while it is `on`, and counts them."""

    def __init__(self, database: Database) -> None:
        self.on = False
        self.count = 0
        event.listen(database.engine.sync_engine, "before_cursor_execute", self._fail)

    def _fail(self, _c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if self.on:
            self.count += 1
            raise OperationalError(statement, None, OSError("connection lost"))

    async def met(self) -> bool:
        return self.count > 0


@pytest.fixture
def fault(database: Database) -> Iterator[Fault]:
    with capture_logs() as logs:
        yield Fault(database)
    # Each fault is told, once at least, with its traceback.
    assert any(line.get("exc_info") for line in logs)


async def test_an_end_that_cannot_be_written_is_written_later(rig: Rig, fault: Fault) -> None:
    go_on = asyncio.Event()

    async def wait(context: JobContext, request: StringValue) -> StringValue:
        context.note(progress(1))
        await go_on.wait()
        context.note(progress(2))
        return request

    async with rig.runner(wait):
        name = (await rig.submit()).name
        await rig.running(name)
        fault.on = True
        go_on.set()
        await eventually(fault.met)
        fault.on = False
        await rig.pass_time_until(lambda: rig.is_done(name), most=5)
    operation = await rig.store.get(name)
    assert text_of(operation) == "text"
    assert metadata(operation).attempt == 1


async def test_an_operation_outlives_heartbeats_that_fail(rig: Rig, fault: Fault) -> None:
    go_on = asyncio.Event()

    async def wait(_: JobContext, request: StringValue) -> StringValue:
        await go_on.wait()
        return request

    async with rig.runner(wait):
        name = (await rig.submit()).name
        await rig.running(name)
        fault.on = True
        await rig.pass_time_until(fault.met, most=5)
        fault.on = False
        go_on.set()
        assert text_of(await rig.done(name)) == "text"


async def test_a_runner_that_cannot_look_for_work_looks_again(rig: Rig, fault: Fault) -> None:
    async def copy(_: JobContext, request: StringValue) -> StringValue:
        return request

    async with rig.runner(copy):
        await rig.done((await rig.submit()).name)
        fault.on = True
        await rig.pass_time_until(fault.met, most=10)
        fault.on = False
        name = (await rig.submit()).name
        await rig.pass_time_until(lambda: rig.is_done(name), most=10)


async def test_a_purge_that_fails_is_repeated(rig: Rig, fault: Fault) -> None:
    await rig.store.cancel((await rig.submit()).name)
    await rig.clock.advance(30 * 86_400)
    fault.on = True
    async with Upkeep("operations", rig.store.purge, rig.store.PURGE_SECONDS, rig.clock):
        await eventually(fault.met)
        fault.on = False

        async def purged() -> bool:
            await rig.clock.advance(600)
            return await rig.names() == []

        await eventually(purged)
