import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import String, event, insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from svckit.database import (
    COLUMN_TYPES,
    Database,
    DatabaseInUseError,
    new_metadata,
    open_database,
    upgrade,
)
from svckit.errors import ResourceExhausted


class Base(DeclarativeBase):
    metadata = new_metadata()
    type_annotation_map = COLUMN_TYPES


class Shelf(Base):
    __tablename__ = "shelves"
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    size: Mapped[int] = mapped_column(default=0)
    made: Mapped[datetime | None]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = open_database(f"sqlite+aiosqlite:///{tmp_path}/folder/service.db")
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield database
    await database.close()


async def scalar(database: Database, statement: str) -> object:
    async with database.reading() as session:
        return (await session.execute(text(statement))).scalar()


async def add(database: Database, *rows: Shelf) -> None:
    async with database.writing() as session:
        for row in rows:
            await session.execute(insert(Shelf).values(name=row.name, size=0, made=row.made))


async def test_sqlite_is_durable_and_keeps_its_constraints(database: Database) -> None:
    assert await scalar(database, "PRAGMA journal_mode") == "wal"
    assert await scalar(database, "PRAGMA foreign_keys") == 1
    assert await scalar(database, "PRAGMA synchronous") == 2


async def test_instants_come_back_in_utc_whatever_zone_they_had(database: Database) -> None:
    east = datetime(2030, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
    async with database.writing() as session:
        session.add(Shelf(name="a", made=east))
    async with database.reading() as session:
        made = (await session.execute(select(Shelf.made))).scalar_one()
    assert made == datetime(2030, 1, 1, tzinfo=UTC)
    assert made is not None
    assert made.tzinfo is UTC


async def test_a_naive_instant_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="naive"):
        await add(database, Shelf(name="a", made=datetime(2030, 1, 1)))


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await add(database, Shelf(name="a"), Shelf(name="b"), Shelf(name="a"))
    assert await scalar(database, "SELECT count(*) FROM shelves") == 0


async def test_transactions_that_read_and_then_write_do_not_lose_each_others_updates(
    database: Database,
) -> None:
    async with database.writing() as session:
        session.add(Shelf(name="a"))

    async def grow() -> None:
        async with database.writing() as session:
            row = await session.get_one(Shelf, "a", with_for_update=True)
            await asyncio.sleep(0)
            row.size += 1

    await asyncio.gather(*(grow() for _ in range(12)))
    assert await scalar(database, "SELECT size FROM shelves") == 12


async def test_a_reader_is_not_held_up_by_a_writer(database: Database) -> None:
    async with database.writing() as session:
        session.add(Shelf(name="a"))
        await session.flush()
        assert await scalar(database, "SELECT count(*) FROM shelves") == 0


async def test_a_full_disk_is_an_answer_and_nothing_is_kept(database: Database) -> None:
    def fill(connection: Any, _: object) -> None:
        connection.execute("PRAGMA max_page_count=12").close()

    event.listen(database.engine.sync_engine, "connect", fill)
    await database.engine.dispose()
    names = [f"{number:016}" for number in range(2_000)]
    with pytest.raises(ResourceExhausted) as caught:
        await add(database, *(Shelf(name=name) for name in names))
    assert caught.value.reason_name == "STORAGE_FULL"
    assert await scalar(database, "SELECT count(*) FROM shelves") == 0


OPEN = """
import asyncio, sys
from svckit.database import DatabaseInUseError, open_database
try:
    database = open_database(sys.argv[1])
except DatabaseInUseError as error:
    sys.exit(f"refused: {error}")
asyncio.run(database.close())
"""


def open_elsewhere(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", OPEN, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_two_processes_cannot_open_the_same_sqlite_file(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/service.db"
    database = open_database(url)
    assert database.exclusive
    with pytest.raises(DatabaseInUseError, match=r"service\.db is in use"):
        open_database(url)
    elsewhere = await asyncio.to_thread(open_elsewhere, url)
    assert "service.db is in use" in elsewhere.stderr
    await database.close()
    await database.close()
    assert (await asyncio.to_thread(open_elsewhere, url)).returncode == 0


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a file"):
        open_database("sqlite+aiosqlite://")


ENV = """
from svckit.database import KitBase, run_migrations
run_migrations([KitBase.metadata])
"""

FIRST = """
from alembic import op
from svckit.database import create_kit_tables
revision, down_revision = "0001", None
def upgrade():
    create_kit_tables(op.get_bind())
    op.execute("CREATE TABLE marks (name VARCHAR PRIMARY KEY)")
"""

SECOND = """
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    op.execute("INSERT INTO marks VALUES ('second')")
    op.execute({statement!r})
"""


def write_migrations(folder: Path, second: str | None = None) -> Path:
    (folder / "versions").mkdir(parents=True, exist_ok=True)
    (folder / "env.py").write_text(ENV)
    (folder / "versions" / "first.py").write_text(FIRST)
    if second is not None:
        (folder / "versions" / "second.py").write_text(SECOND.format(statement=second))
    return folder


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Database]:
    database = open_database(f"sqlite+aiosqlite:///{tmp_path}/empty.db")
    yield database
    await database.close()


async def test_an_upgrade_makes_the_tables_once_and_can_be_repeated(
    empty: Database, tmp_path: Path
) -> None:
    migrations = write_migrations(tmp_path / "per%cent")
    await upgrade(empty, migrations)
    await upgrade(empty, migrations)
    assert await scalar(empty, "SELECT count(*) FROM operations") == 0
    assert await scalar(empty, "SELECT version_num FROM alembic_version") == "0001"


async def test_an_upgrade_that_fails_half_way_leaves_the_database_as_it_was(
    empty: Database, tmp_path: Path
) -> None:
    migrations = write_migrations(tmp_path / "migrations")
    await upgrade(empty, migrations)
    write_migrations(migrations, second="CREATE TABLE marks (name VARCHAR)")
    with pytest.raises(Exception, match="already exists"):
        await upgrade(empty, migrations)
    assert await scalar(empty, "SELECT count(*) FROM marks") == 0
    assert await scalar(empty, "SELECT version_num FROM alembic_version") == "0001"
