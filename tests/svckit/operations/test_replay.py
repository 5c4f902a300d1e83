import asyncio

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from svckit.database import Database
from svckit.errors import InvalidArgument
from svckit.operations.replay import Call
from tests.helpers.operations import Rig


class Renaming:
    """A mutation that counts how often it takes place."""

    def __init__(self, rig: Rig, database: Database) -> None:
        self._rig = rig
        self._database = database

    async def prepare(self) -> None:
        async with self._database.writing() as session:
            await session.execute(text("CREATE TABLE names (name VARCHAR)"))

    async def send(self, name: str, request_id: str, *, fail: bool = False) -> str:
        async def rename(session: AsyncSession) -> StringValue:
            await session.execute(text("INSERT INTO names VALUES (:name)"), {"name": name})
            if fail:
                raise OSError("the disk is full")
            count = await session.execute(text("SELECT count(*) FROM names"))
            return StringValue(value=f"{name} is number {count.scalar_one()}")

        call = Call("Rename", StringValue(value=name), request_id)
        return (await self._rig.store.replay.once(call, rename, StringValue)).value


@pytest.fixture
async def renaming(rig: Rig, database: Database) -> Renaming:
    renaming = Renaming(rig, database)
    await renaming.prepare()
    return renaming


async def test_a_replayed_mutation_gets_the_first_answer_and_does_nothing(
    renaming: Renaming,
) -> None:
    assert await renaming.send("a", "r") == "a is number 1"
    assert await renaming.send("a", "r") == "a is number 1"
    assert await renaming.send("a", "s") == "a is number 2"


async def test_without_a_request_id_every_request_counts(renaming: Renaming) -> None:
    assert await renaming.send("a", "") == "a is number 1"
    assert await renaming.send("a", "") == "a is number 2"


async def test_a_request_id_with_another_body_changes_nothing(renaming: Renaming) -> None:
    await renaming.send("a", "r")
    with pytest.raises(InvalidArgument) as caught:
        await renaming.send("b", "r")
    assert caught.value.reason_name == "REQUEST_ID_REUSED"
    assert await renaming.send("c", "s") == "c is number 2"


async def test_a_mutation_that_failed_can_be_tried_again_under_its_id(renaming: Renaming) -> None:
    with pytest.raises(OSError, match="full"):
        await renaming.send("a", "r", fail=True)
    assert await renaming.send("a", "r") == "a is number 1"


async def test_of_equal_mutations_at_the_same_time_exactly_one_takes_place(
    renaming: Renaming,
) -> None:
    answers = await asyncio.gather(*(renaming.send("a", "r") for _ in range(12)))
    assert set(answers) == {"a is number 1"}


async def test_an_answer_is_forgotten_after_seven_days(rig: Rig, renaming: Renaming) -> None:
    await renaming.send("a", "r")
    await rig.clock.advance(7 * 86_400)
    assert await renaming.send("b", "r") == "b is number 2"


@pytest.mark.parametrize("request_id", ["x" * 129, "line\nbreak"])
async def test_a_request_id_that_cannot_be_kept_is_refused(
    renaming: Renaming, request_id: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await renaming.send("a", request_id)
    assert [violation.field for violation in caught.value.violations] == ["request_id"]
