"""Operations on a real SQLite file, with a clock that a test moves."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.longrunning import operations_pb2
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc import error_details_pb2, status_pb2
from sliceandpack.operation.v1.operation_events_pb2 import (
    OperationEvent,
    OperationMetadata,
    Progress,
    State,
)

from svckit.database import Database, create_kit_tables, open_database
from svckit.operations.backing import Backing
from svckit.operations.job import JobContext
from svckit.operations.lists import list_operations
from svckit.operations.runner import Runner
from svckit.operations.settings import OperationSettings
from svckit.operations.store import OperationStore
from svckit.paging import PageTokens
from svckit.telemetry import Metrics
from tests.helpers.clock import ManualClock

KIND = "Copy"

Work = Callable[[JobContext, StringValue], Awaitable[StringValue]]


async def open_with_tables(folder: Path) -> Database:
    """Opens a database in `folder` with svckit's tables in it."""
    database = open_database(f"sqlite+aiosqlite:///{folder}/service.db")
    async with database.engine.begin() as connection:
        await connection.run_sync(create_kit_tables)
    return database


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Returns once `condition` holds; a test that waits in vain fails."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110  What is waited for lies in the database.
            await asyncio.sleep(0.002)


@dataclass(frozen=True)
class Rig:
    """A store, its ground, and short words for what tests ask."""

    backing: Backing
    clock: ManualClock
    store: OperationStore

    def runner(self, work: Work, *, seconds: float | None = None, retry: bool = True) -> Runner:
        runner = Runner(self.backing)
        runner.register(KIND, work, StringValue, seconds=seconds, retry=retry)
        return runner

    async def submit(
        self, text: str = "text", request_id: str = "", principal: str = ""
    ) -> operations_pb2.Operation:
        return await self.store.submit(
            KIND,
            StringValue(value=text),
            OperationMetadata(target="models/m"),
            request_id,
            principal,
        )

    async def page(self, **request: Any) -> operations_pb2.ListOperationsResponse:
        asked = operations_pb2.ListOperationsRequest(**request)
        return await list_operations(self.backing.database, PageTokens(b"key"), asked)

    async def names(self, **request: Any) -> Sequence[str]:
        return [operation.name for operation in (await self.page(**request)).operations]

    async def is_done(self, name: str) -> bool:
        return bool((await self.store.get(name)).done)

    async def is_running(self, name: str) -> bool:
        return metadata(await self.store.get(name)).state == State.STATE_RUNNING

    async def done(self, name: str) -> operations_pb2.Operation:
        """Waits for the end of an operation, without letting time pass."""
        await eventually(lambda: self.is_done(name))
        return await self.store.get(name)

    async def running(self, name: str) -> None:
        await eventually(lambda: self.is_running(name))

    async def pass_time_until(self, condition: Callable[[], Awaitable[bool]], most: float) -> float:
        """Lets time pass in small steps until `condition` holds; returns the seconds it took."""
        start = self.clock.now()
        while not await condition():
            passed = (self.clock.now() - start).total_seconds()
            assert passed < most, f"nothing happened within {most} seconds"
            await self.clock.advance(0.1)
            await asyncio.sleep(0.005)
        return (self.clock.now() - start).total_seconds()

    async def events(self, name: str) -> list[OperationEvent]:
        return (await self.store.events(name, 0, 1_000))[0]


def make_rig(database: Database, settings: OperationSettings | None = None) -> Rig:
    """Puts a store on a database."""
    clock = ManualClock()
    backing = Backing(database, clock, settings or OperationSettings(), Metrics())
    return Rig(backing, clock, OperationStore(backing))


def metadata(operation: operations_pb2.Operation) -> OperationMetadata:
    unpacked = OperationMetadata()
    assert operation.metadata.Unpack(unpacked)
    return unpacked


def text_of(operation: operations_pb2.Operation) -> str:
    """Returns the response of an operation that succeeded."""
    response = StringValue()
    assert operation.response.Unpack(response), operation
    return response.value


def error_info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details), status
    return info


def progress(done: int, total: int = 10) -> Progress:
    return Progress(phase="adaptation", done=done, total=total)
