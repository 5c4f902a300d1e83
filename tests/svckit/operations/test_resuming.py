import asyncio
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sliceandpack.operation.v1.operation_events_pb2 import State

from svckit.database import Database
from svckit.operations.claims import Claims
from svckit.operations.job import JobContext
from svckit.operations.leases import LeaseLostError, Leases
from tests.helpers.operations import (
    KIND,
    Rig,
    error_info,
    make_rig,
    metadata,
    open_with_tables,
    text_of,
)

PARTS = ["a", "b", "c", "d"]


class PartByPart:
    """Work in parts: each is made, then kept; `hold` stops it in front of a part."""

    def __init__(self, hold: str = "") -> None:
        self.made: list[str] = []
        self.held = asyncio.Event()
        self._hold = hold

    async def __call__(self, context: JobContext, _: StringValue) -> StringValue:
        finished = context.state.get("finished", [])
        for part in PARTS[len(finished) :]:
            if part == self._hold:
                self.held.set()
                await asyncio.Event().wait()
            self.made.append(part)
            finished = [*finished, part]
            await context.save({"finished": finished})
        return StringValue(value="".join(finished))


async def test_a_dead_processes_work_goes_on_at_once_where_it_stood(tmp_path: Path) -> None:
    first = await open_with_tables(tmp_path)
    rig = make_rig(first)
    name = (await rig.submit()).name
    lease = await Claims(rig.backing).claim(f"{first.instance}/1", [KIND], [])
    assert lease is not None
    await Leases(rig.backing).save(lease, {"finished": ["a", "b"]})
    await first.close()

    second = await open_with_tables(tmp_path)
    rig = make_rig(second)
    work = PartByPart()
    async with rig.runner(work):
        operation = await rig.done(name)
    assert work.made == ["c", "d"]
    assert text_of(operation) == "abcd"
    assert metadata(operation).attempt == 2
    await second.close()


async def test_another_replica_takes_over_when_the_lease_has_run_out(
    rig: Rig, database: Database
) -> None:
    name = (await rig.submit()).name
    alive_here = f"{database.instance}/hangs"
    assert await Claims(rig.backing).claim(alive_here, [KIND], []) is not None
    work = PartByPart()
    async with rig.runner(work):
        took = await rig.pass_time_until(lambda: rig.is_done(name), most=20)
    assert took >= rig.backing.settings.lease
    assert work.made == PARTS


async def test_a_running_operation_keeps_its_lease_however_long_it_takes(rig: Rig) -> None:
    work, rival = PartByPart(hold="c"), PartByPart()
    async with rig.runner(work):
        name = (await rig.submit()).name
        await work.held.wait()
        async with rig.runner(rival):
            start = rig.clock.now()

            async def two_leases_are_over() -> bool:
                passed = (rig.clock.now() - start).total_seconds()
                return passed > 2 * rig.backing.settings.lease

            await rig.pass_time_until(two_leases_are_over, most=30)
            await rig.store.cancel(name)
            await rig.pass_time_until(lambda: rig.is_done(name), most=5)
    assert rival.made == []


async def test_who_lost_a_lease_changes_nothing_any_more(rig: Rig, database: Database) -> None:
    name = (await rig.submit()).name
    claims, leases = Claims(rig.backing), Leases(rig.backing)
    lost = await claims.claim(f"{database.instance}/1", [KIND], [])
    await rig.clock.advance(rig.backing.settings.lease)
    held = await claims.claim(f"{database.instance}/2", [KIND], [])
    assert lost is not None
    assert held is not None
    for change in (
        leases.renew(lost),
        leases.save(lost, {"finished": ["late"]}),
        leases.succeed(lost, b""),
        leases.release(lost),
    ):
        with pytest.raises(LeaseLostError):
            await change
    known = metadata(await rig.store.get(name))
    assert (known.state, known.attempt) == (State.STATE_RUNNING, 2)
    assert await leases.renew(held) is False


async def test_a_handler_whose_lease_was_taken_is_stopped(rig: Rig, database: Database) -> None:
    stopped = asyncio.Event()
    started = asyncio.Event()

    async def wait(_: JobContext, request: StringValue) -> StringValue:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return request

    async with rig.runner(wait):
        name = (await rig.submit()).name
        await started.wait()
        # As if this process had been frozen for longer than its lease lasts.
        rig.clock.jump(rig.backing.settings.lease)
        other = await Claims(rig.backing).claim(f"{database.instance}/other", [KIND], [])
        assert other is not None
        await rig.clock.advance(0)
        await stopped.wait()
        assert metadata(await rig.store.get(name)).state == State.STATE_RUNNING
        await Leases(rig.backing).succeed(other, b"")


async def test_work_that_kills_its_process_again_and_again_is_given_up(tmp_path: Path) -> None:
    name = ""
    for start in range(3):
        database = await open_with_tables(tmp_path)
        rig = make_rig(database)
        claims = Claims(rig.backing)
        await claims.void_those_of_the_dead()
        name = name or (await rig.submit()).name
        assert await claims.claim(f"{database.instance}/{start}", [KIND], []) is not None
        await database.close()

    database = await open_with_tables(tmp_path)
    rig = make_rig(database)
    work = PartByPart()
    async with rig.runner(work):
        operation = await rig.done(name)
    info = error_info(operation.error)
    assert info.reason == "ATTEMPTS_EXHAUSTED"
    assert info.metadata == {"attempts": "3", "cause": "PROCESS_DIED"}
    assert work.made == []
    await database.close()


async def test_a_cancelled_operation_of_a_dead_process_is_not_started_again(
    tmp_path: Path,
) -> None:
    first = await open_with_tables(tmp_path)
    rig = make_rig(first)
    name = (await rig.submit()).name
    assert await Claims(rig.backing).claim(f"{first.instance}/1", [KIND], []) is not None
    await rig.store.cancel(name)
    await first.close()

    second = await open_with_tables(tmp_path)
    rig = make_rig(second)
    work = PartByPart()
    async with rig.runner(work):
        assert metadata(await rig.done(name)).state == State.STATE_CANCELLED
    assert work.made == []
    await second.close()


async def test_a_drained_runner_puts_its_work_back_and_the_next_one_goes_on(rig: Rig) -> None:
    work = PartByPart(hold="c")
    runner = rig.runner(work)
    await runner.start()
    name = (await rig.submit()).name
    await work.held.wait()
    drain = asyncio.create_task(runner.drain())

    async def drained() -> bool:
        return drain.done()

    await rig.pass_time_until(drained, most=10)
    await drain
    await runner.drain()
    assert metadata(await rig.store.get(name)).state == State.STATE_QUEUED

    rest = PartByPart()
    async with rig.runner(rest):
        assert text_of(await rig.done(name)) == "abcd"
    assert (work.made, rest.made) == (["a", "b"], ["c", "d"])


async def test_a_restart_does_not_count_as_a_lost_attempt(rig: Rig) -> None:
    name = (await rig.submit()).name
    for _ in range(4):
        lease = await Claims(rig.backing).claim("runner/1", [KIND], [])
        assert lease is not None
        await Leases(rig.backing).release(lease)
    async with rig.runner(PartByPart()):
        assert text_of(await rig.done(name)) == "abcd"


async def test_a_drained_runner_lets_work_end_that_is_about_to(rig: Rig) -> None:
    go_on = asyncio.Event()

    async def wait(context: JobContext, request: StringValue) -> StringValue:
        await go_on.wait()
        return request

    runner = rig.runner(wait)
    await runner.start()
    name = (await rig.submit()).name
    await rig.running(name)
    drain = asyncio.create_task(runner.drain())
    await asyncio.sleep(0)
    go_on.set()
    await drain
    assert text_of(await rig.store.get(name)) == "text"


async def test_a_drained_runner_takes_no_more_work(rig: Rig) -> None:
    runner = rig.runner(PartByPart())
    await runner.start()
    await runner.drain()
    name = (await rig.submit()).name
    await rig.clock.advance(60)
    assert metadata(await rig.store.get(name)).state == State.STATE_QUEUED
