"""References keep artifacts; the sweep takes the others, whoever comes in between."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from svckit.artifacts.folder import FolderArtifactStore
from svckit.artifacts.references import ArtifactReferences
from svckit.artifacts.sweeper import ArtifactSweeper, SweepReport, SweepSchedule
from svckit.database import Database, create_kit_tables, open_database
from svckit.errors import NotFound
from tests.helpers.clock import ManualClock

DAY = timedelta(days=1)
SCHEDULE = SweepSchedule(grace=DAY, upload_grace=DAY)


class Market:
    """A store, its references, and a sweep that takes place two days from now."""

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root / "artifacts"
        self.store = FolderArtifactStore(self.root)
        self.database = database
        self.references = ArtifactReferences(self.store)
        self.clock = ManualClock(datetime.now(UTC))
        self.reports: list[SweepReport] = []
        self.sweeper = self.sweeper_of(self.store)

    def sweeper_of(self, store: FolderArtifactStore) -> ArtifactSweeper:
        return ArtifactSweeper(
            self.database, store, self.clock, schedule=SCHEDULE, on_sweep=self.reports.append
        )

    async def use(self, owner: str, role: str, digest: str) -> None:
        async with self.database.writing() as session:
            await self.references.add(session, owner, role, digest)

    async def drop(self, owner: str) -> None:
        async with self.database.writing() as session:
            await self.references.remove(session, owner)

    async def stored(self) -> set[str]:
        return {artifact.digest for artifact in await self.store.list()}


@pytest.fixture
async def market(tmp_path: Path) -> AsyncIterator[Market]:
    database = open_database(f"sqlite+aiosqlite:///{tmp_path}/market.db")
    async with database.writing() as session:
        await (await session.connection()).run_sync(create_kit_tables)
    yield Market(tmp_path, database)
    await database.close()


async def test_several_roles_are_taken_together(market: Market) -> None:
    one, two, three = [(await market.store.put(text)).digest for text in (b"one", b"two", b"three")]
    await market.use("packs/p", "graph", one)
    async with market.database.writing() as session:
        used = {"graph": two, "manifest": three, "proof": three}
        await market.references.add_all(session, "packs/p", used)
    async with market.database.reading() as session:
        assert await market.references.of(session, "packs/p") == used
    await market.clock.advance(2 * DAY.total_seconds())
    await market.sweeper.sweep()
    assert await market.stored() == {two, three}


async def test_of_several_roles_none_is_taken_if_one_artifact_is_gone(market: Market) -> None:
    one = (await market.store.put(b"one")).digest
    gone = f"sha256:{'0' * 64}"
    with pytest.raises(NotFound):
        async with market.database.writing() as session:
            await market.references.add_all(session, "packs/p", {"graph": one, "proof": gone})
    async with market.database.reading() as session:
        assert await market.references.of(session, "packs/p") == {}


async def test_what_nothing_points_at_goes_after_its_grace(market: Market) -> None:
    used = (await market.store.put(b"used")).digest
    unused = (await market.store.put(b"never used")).digest
    await market.use("models/m1", "graph", used)
    assert (await market.sweeper.sweep()).deleted == 0, "the grace has not passed"
    await market.clock.advance(2 * DAY.total_seconds())
    report = await market.sweeper.sweep()
    assert report == SweepReport(deleted=1, leftovers=0, kept=1, kept_bytes=4)
    assert await market.stored() == {used}
    assert unused not in await market.stored()


async def test_an_artifact_stays_until_its_last_owner_is_gone(market: Market) -> None:
    digest = (await market.store.put(b"shared")).digest
    await market.use("models/m1", "graph", digest)
    await market.use("models/m2", "graph", digest)
    await market.use("models/m2", "samples", digest)
    await market.drop("models/m1")
    await market.clock.advance(2 * DAY.total_seconds())
    assert (await market.sweeper.sweep()).deleted == 0
    await market.drop("models/m2")
    assert (await market.sweeper.sweep()).deleted == 1
    assert await market.stored() == set()


async def test_the_grace_starts_when_the_last_reference_goes(
    market: Market, tmp_path: Path
) -> None:
    digest = (await market.store.put(b"old")).digest
    await market.use("models/m1", "graph", digest)
    os.utime(await market.store.path(digest), (1000.0, 1000.0))
    await market.drop("models/m1")
    assert (await market.sweeper.sweep()).deleted == 0


async def test_a_role_points_at_one_artifact(market: Market) -> None:
    first = (await market.store.put(b"first")).digest
    second = (await market.store.put(b"second")).digest
    await market.use("models/m1", "graph", first)
    await market.use("models/m1", "graph", second)
    async with market.database.reading() as session:
        assert await market.references.of(session, "models/m1") == {"graph": second}
    await market.clock.advance(2 * DAY.total_seconds())
    await market.sweeper.sweep()
    assert await market.stored() == {second}


async def test_only_stored_artifacts_can_be_used(market: Market) -> None:
    with pytest.raises(NotFound):
        await market.use("models/m1", "graph", "sha256:" + "0" * 64)
    async with market.database.reading() as session:
        assert await market.references.of(session, "models/m1") == {}


async def test_a_transaction_that_fails_leaves_no_reference(market: Market) -> None:
    digest = (await market.store.put(b"bytes")).digest

    async def use_and_fail() -> None:
        async with market.database.writing() as session:
            await market.references.add(session, "models/m1", "graph", digest)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await use_and_fail()
    await market.clock.advance(2 * DAY.total_seconds())
    assert (await market.sweeper.sweep()).deleted == 1


class MeetingStore(FolderArtifactStore):
    """Does something at the moment at which a sweep is about to delete a file."""

    def __init__(self, market: Market, meeting: str) -> None:
        super().__init__(market.root)
        self.market = market
        self.meeting = meeting
        self.refused = 0

    async def delete_unused(self, digest: str, before: float) -> bool:
        if self.meeting == "stop":
            raise KeyboardInterrupt
        if self.meeting == "upload":
            await self.market.store.put(b"bytes")
            os.utime(await self.market.store.path(digest), (before + 1, before + 1))
        try:
            await self.market.use("models/m1", "graph", digest)
        except NotFound:
            self.refused += 1
        return await super().delete_unused(digest, before)


async def test_who_comes_after_the_decision_to_delete_is_refused(market: Market) -> None:
    digest = (await market.store.put(b"bytes")).digest
    await market.clock.advance(2 * DAY.total_seconds())
    store = MeetingStore(market, "use")
    assert (await market.sweeper_of(store).sweep()).deleted == 1
    assert store.refused == 1
    assert digest not in await market.stored()
    await market.store.put(b"bytes")
    await market.use("models/m1", "graph", digest)


async def test_an_upload_in_the_middle_of_a_sweep_saves_the_artifact(market: Market) -> None:
    digest = (await market.store.put(b"bytes")).digest
    await market.clock.advance(2 * DAY.total_seconds())
    store = MeetingStore(market, "upload")
    assert (await market.sweeper_of(store).sweep()).deleted == 0
    await market.use("models/m1", "graph", digest)
    assert await market.stored() == {digest}


async def test_a_sweep_that_a_crash_interrupted_is_ended_by_the_next(market: Market) -> None:
    digest = (await market.store.put(b"bytes")).digest
    await market.clock.advance(2 * DAY.total_seconds())
    with pytest.raises(KeyboardInterrupt):
        await market.sweeper_of(MeetingStore(market, "stop")).sweep()
    assert await market.stored() == {digest}
    await market.sweeper.sweep()
    assert await market.stored() == set()
    await market.store.put(b"bytes")
    await market.use("models/m1", "graph", digest)


async def test_users_and_sweeps_at_once_never_lose_a_used_artifact(market: Market) -> None:
    contents = [f"content {index}".encode() for index in range(20)]
    digests = [(await market.store.put(content)).digest for content in contents]
    await market.clock.advance(2 * DAY.total_seconds())
    used: set[str] = set()

    async def use(index: int) -> None:
        try:
            await market.use(f"models/m{index}", "graph", digests[index])
        except NotFound:
            return
        used.add(digests[index])

    await asyncio.gather(market.sweeper.sweep(), *(use(index) for index in range(20)))
    assert used <= await market.stored()


async def test_unfinished_uploads_go_with_the_sweep(market: Market) -> None:
    await market.store.append("sha256:" + "0" * 64, 0, b"half")
    assert (await market.sweeper.sweep()).leftovers == 0
    await market.clock.advance(2 * DAY.total_seconds())
    assert (await market.sweeper.sweep()).leftovers == 1


async def test_every_sweep_is_told(market: Market) -> None:
    await market.store.put(b"bytes")
    for _ in range(2):
        await market.sweeper.settle()
    assert market.reports == [SweepReport(deleted=0, leftovers=0, kept=1, kept_bytes=5)] * 2
