"""The rows of models where two want the same name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slicer_svc.app import MIGRATIONS
from slicer_svc.store import models
from slicer_svc.store.tables import ModelClassRow, ModelRow
from svckit.database import Database, open_database, upgrade
from svckit.errors import AlreadyExists, NotFound

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "sha256:" + "0" * 64


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'service.db'}")
    await upgrade(database, MIGRATIONS)
    yield database
    await database.close()


def row(operation: str) -> ModelRow:
    return ModelRow(
        id="m",
        operation=operation,
        display_name="",
        licence="",
        graph_digest=DIGEST,
        graph_size=1,
        samples_digest=DIGEST,
        samples_size=1,
        normalised_digest=DIGEST,
        normalised_size=1,
        labels=["cat"],
        inputs=[],
        sample_accuracy=1.0,
        sample_count=1,
        parameters=1,
        macs=1,
        unit_group_count=1,
        feature_width=1,
        revision=1,
        create_time=NOW,
        update_time=NOW,
        classes=[ModelClassRow(place=0, label="cat")],
    )


async def insert(database: Database, operation: str) -> None:
    async with database.writing() as session:
        await models.insert(session, row(operation))


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
