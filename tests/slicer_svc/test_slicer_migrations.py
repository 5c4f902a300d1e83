"""The migrations make the tables that the code works with."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from slicer_svc.app import MIGRATIONS
from slicer_svc.store.tables import Base
from svckit.database import open_database, upgrade


async def test_migrations_and_tables_agree(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
            return kind != "table" or name in Base.metadata.tables

        context = MigrationContext.configure(connection, opts={"include_object": ours})
        return list(compare_metadata(context, Base.metadata))

    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'service.db'}")
    try:
        await upgrade(database, MIGRATIONS)
        async with database.engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await database.close()
