"""What searches look into, as models come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks.market.service.stock import made_task, stock
from slicer_svc.search.catalogue import Catalogue
from slicer_svc.store import specifications
from specification.codec import to_bytes
from specification.model import VERSION
from svckit.artifacts.folder import FolderArtifactStore
from svckit.database import Database, open_database

MODELS = 3
RANDOM = np.random.default_rng(0)
TASK = made_task(RANDOM)


class Artifacts(FolderArtifactStore):
    """Counts what is read."""

    opened = 0

    async def path(self, digest: str) -> Path:
        self.opened += 1
        return await super().path(digest)


class Market:
    """A catalogue over a database with a few models.

    Args:
        folder: A slicer's state.
        database: Its database.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self.artifacts = Artifacts(folder / "artifacts")
        self.database = database
        self.lost = 0
        self.catalogue = Catalogue(database, self.artifacts, self._told)

    def _told(self) -> None:
        self.lost += 1

    async def found(self) -> set[str]:
        """The models that a search compares."""
        found = await self.catalogue.models(TASK, 100, None)
        assert found.compared == len(found.matches)
        return {one.model.removeprefix("models/made-00000") for one in found.matches}

    async def specify(self, model: str, version: int = VERSION) -> None:
        """Gives a model another specification than it had."""
        stored = await self.artifacts.put(to_bytes(made_task(RANDOM)))
        told = {"version": version, "facts": {}, "missing": ""}
        row = specifications.specification_row(told, stored, datetime.now(UTC))
        async with self.database.writing() as session:
            await specifications.replace(session, f"made-00000{model}", row)

    async def drop(self, *models: str) -> None:
        """Takes the specifications of models away."""
        async with self.database.writing() as session:
            there = await specifications.specified(session, VERSION)
            names = {f"models/made-00000{model}" for model in models}
            serials = [one.serial for one in there if one.model in names]
            await specifications.forget(session, serials)


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    await stock(tmp_path, MODELS, np.random.default_rng(1))
    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'service.db'}")
    yield Market(tmp_path, database)
    await database.close()


async def test_only_what_changed_is_read(market: Market) -> None:
    assert await market.found() == {"0", "1", "2"}
    assert market.artifacts.opened == MODELS
    await market.drop("1")
    assert await market.found() == {"0", "2"}
    assert market.artifacts.opened == MODELS
    await market.specify("1")
    await market.specify("2")
    assert await market.found() == {"0", "1", "2"}
    assert market.artifacts.opened == MODELS + 2


async def test_one_that_came_while_another_went_is_seen(market: Market) -> None:
    await market.drop("2")
    assert await market.found() == {"0", "1"}
    await market.specify("2")
    await market.drop("0")
    assert await market.found() == {"1", "2"}
    await market.specify("0")
    assert await market.found() == {"0", "1", "2"}


async def test_a_specification_of_another_version_takes_the_models_own_away(
    market: Market,
) -> None:
    assert await market.found() == {"0", "1", "2"}
    await market.specify("0", version=VERSION + 1)
    assert await market.found() == {"1", "2"}


async def test_a_damaged_one_is_left_out_and_told_of(market: Market) -> None:
    async with market.database.reading() as session:
        damaged = (await specifications.specified(session, VERSION))[1]
    path = await market.artifacts.path(damaged.digest)
    path.chmod(0o600)
    path.write_bytes(b"no specification")
    assert await market.found() == {"0", "2"}
    assert market.lost == 1
    await market.specify("1")
    assert await market.found() == {"0", "1", "2"}
    assert market.lost == 1
