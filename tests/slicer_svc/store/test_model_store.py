"""The rows of models where two want the same name."""

from __future__ import annotations

import pytest

from slicer_svc.store import models
from slicer_svc.store.tables import ModelClassRow
from svckit.database import Database
from svckit.errors import AlreadyExists, NotFound
from tests.helpers.model_rows import model_row


async def insert(database: Database, operation: str) -> None:
    classes = [ModelClassRow(place=0, label="cat")]
    async with database.writing() as session:
        await models.insert(session, model_row("m", operation=operation, classes=classes))


async def test_a_name_is_taken_once(database: Database) -> None:
    await insert(database, "operations/first")
    with pytest.raises(AlreadyExists):
        await insert(database, "operations/second")
    async with database.reading() as session:
        assert (await models.get(session, "m")).operation == "operations/first"


async def test_work_on_a_model_is_not_kept_for_another_that_took_its_name(
    database: Database,
) -> None:
    await insert(database, "operations/first")
    async with database.reading() as session:
        worked_on = await models.get(session, "m")
    async with database.writing() as session:
        await models.lock(session, worked_on)
    async with database.writing() as session:
        await models.remove(session, await models.get(session, "m", lock=True))
    await insert(database, "operations/second")
    async with database.writing() as session:
        with pytest.raises(NotFound):
            await models.lock(session, worked_on)
