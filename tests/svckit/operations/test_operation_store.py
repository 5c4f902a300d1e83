import asyncio

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1.operation_events_pb2 import OperationMetadata, State
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.database import Database
from svckit.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from svckit.operations.settings import OperationSettings
from svckit.upkeep import Upkeep
from tests.helpers.operations import KIND, Rig, eventually, make_rig, metadata

DAY = 86_400.0


async def test_submitted_work_waits_under_a_name_of_its_own(rig: Rig) -> None:
    first, second = await rig.submit(), await rig.submit()
    assert first.name.startswith("operations/")
    assert first.name != second.name
    assert not first.done
    known = metadata(first)
    assert (known.kind, known.target) == (KIND, "models/m")
    assert (known.state, known.attempt, known.last_sequence) == (State.STATE_QUEUED, 0, 1)
    assert known.create_time.ToDatetime(rig.clock.now().tzinfo) == rig.clock.now()
    assert [event.state for event in await rig.events(first.name)] == [State.STATE_QUEUED]


async def test_the_same_request_id_returns_the_same_operation(rig: Rig) -> None:
    first = await rig.submit(request_id="r")
    await rig.clock.advance(6.9 * DAY)
    assert (await rig.submit(request_id="r")).name == first.name
    assert (await rig.submit(request_id="s")).name != first.name


async def test_a_replay_shows_the_operation_as_it_stands_now(rig: Rig) -> None:
    first = await rig.submit(request_id="r")
    await rig.store.cancel(first.name)
    assert metadata(await rig.submit(request_id="r")).state == State.STATE_CANCELLED


async def test_a_request_id_with_another_body_is_refused(rig: Rig) -> None:
    await rig.submit("one", request_id="r")
    with pytest.raises(InvalidArgument) as caught:
        await rig.submit("two", request_id="r")
    assert caught.value.reason_name == "REQUEST_ID_REUSED"
    assert caught.value.metadata == {"request_id": "r"}


async def test_request_ids_of_two_principals_never_meet(rig: Rig) -> None:
    first = await rig.submit("one", request_id="r", principal="ada")
    second = await rig.submit("two", request_id="r", principal="bob")
    assert first.name != second.name


async def test_request_ids_of_two_kinds_of_work_never_meet(rig: Rig) -> None:
    first = await rig.submit(request_id="r")
    other = await rig.store.submit("Move", StringValue(value="text"), OperationMetadata(), "r")
    assert first.name != other.name


async def test_a_request_id_is_free_again_after_seven_days(rig: Rig) -> None:
    first = await rig.submit("one", request_id="r")
    await rig.clock.advance(7 * DAY)
    assert (await rig.submit("two", request_id="r")).name != first.name


async def test_of_equal_requests_at_the_same_time_one_becomes_an_operation(rig: Rig) -> None:
    operations = await asyncio.gather(*(rig.submit(request_id="r") for _ in range(12)))
    assert len({operation.name for operation in operations}) == 1
    assert len(await rig.names()) == 1


async def test_a_full_queue_refuses_work_and_keeps_nothing_of_it(database: Database) -> None:
    rig = make_rig(database, OperationSettings(queue=2))
    first = await rig.submit()
    await rig.submit()
    with pytest.raises(ResourceExhausted) as caught:
        await rig.submit(request_id="r")
    assert caught.value.reason_name == "QUEUE_FULL"
    assert caught.value.metadata == {"limit": "2"}
    await rig.store.cancel(first.name)
    assert not (await rig.submit("other", request_id="r")).done
    assert len(await rig.names()) == 3


async def test_a_replay_is_answered_though_the_queue_is_full(database: Database) -> None:
    rig = make_rig(database, OperationSettings(queue=1))
    first = await rig.submit(request_id="r")
    assert (await rig.submit(request_id="r")).name == first.name


async def test_work_that_the_state_of_the_service_forbids_is_refused_but_a_replay_answered(
    rig: Rig,
) -> None:
    async def submit(request_id: str) -> str:
        request, metadata = StringValue(value="text"), OperationMetadata()
        operation = await rig.store.submit(KIND, request, metadata, request_id, check=none_yet)
        return str(operation.name)

    async def none_yet(session: AsyncSession) -> None:
        if (await session.execute(text("SELECT count(*) FROM operations"))).scalar_one():
            raise AlreadyExists(reasons.ERROR_REASON_RESOURCE_EXISTS, "There is one.", advice="")

    name = await submit("r")
    assert await submit("r") == name
    with pytest.raises(AlreadyExists):
        await submit("s")
    assert await rig.names() == [name]


async def test_an_unknown_operation_is_not_found(rig: Rig) -> None:
    for ask in (rig.store.get, rig.store.cancel, rig.store.delete):
        with pytest.raises(NotFound) as caught:
            await ask("operations/none")
        assert caught.value.metadata == {"resource": "operations/none"}


@pytest.mark.parametrize("name", ["", "operations", "operations/", "models/m", "operations/a/b"])
async def test_what_is_no_operations_name_is_refused(rig: Rig, name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await rig.store.get(name)
    assert [violation.field for violation in caught.value.violations] == ["name"]


async def test_an_operation_that_waits_is_cancelled_at_once(rig: Rig) -> None:
    name = (await rig.submit()).name
    await rig.store.cancel(name)
    operation = await rig.store.get(name)
    assert operation.done
    assert operation.error.code == 1
    assert metadata(operation).state == State.STATE_CANCELLED
    await rig.store.cancel(name)
    assert await rig.store.get(name) == operation


async def test_a_deleted_operation_is_gone_with_its_events(rig: Rig) -> None:
    name = (await rig.submit()).name
    await rig.store.cancel(name)
    await rig.store.delete(name)
    with pytest.raises(NotFound):
        await rig.store.events(name, 0, 10)
    assert await rig.names() == []


async def test_results_are_kept_for_thirty_days(rig: Rig) -> None:
    finished = (await rig.submit()).name
    await rig.store.cancel(finished)
    await rig.clock.advance(29 * DAY)
    waiting = (await rig.submit()).name
    assert await rig.store.purge() == 0
    await rig.clock.advance(1 * DAY)
    assert await rig.store.purge() == 1
    assert await rig.names() == [waiting]
    assert len(await rig.events(waiting)) == 1


async def test_a_purge_takes_more_than_one_batch(database: Database) -> None:
    rig = make_rig(database, OperationSettings(queue=1_000))
    for _ in range(55):
        await rig.store.cancel((await rig.submit()).name)
    await rig.clock.advance(30 * DAY)
    assert await rig.store.purge() == 55


async def test_operations_are_purged_at_once_and_then_every_hour(rig: Rig) -> None:
    async def purged() -> bool:
        await rig.clock.advance(600)
        return await rig.names() == []

    async def old_operation() -> None:
        await rig.store.cancel((await rig.submit()).name)
        await rig.clock.advance(30 * DAY)

    await old_operation()
    async with Upkeep("operations", rig.store.purge, rig.store.PURGE_SECONDS, rig.clock):
        await eventually(purged)
        await old_operation()
        await eventually(purged)


def test_figures_under_which_leases_would_run_out_are_refused() -> None:
    with pytest.raises(ValueError, match="two heartbeats"):
        OperationSettings(lease=3.0)
    with pytest.raises(ValueError, match="cancel_limit"):
        OperationSettings(cancel_grace=5.0)
