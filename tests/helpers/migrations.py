"""Whether the migrations of a service make the tables that its code works with."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from svckit.database import open_database, upgrade


async def differences(folder: Path, migrations: Path, tables: MetaData) -> list[object]:
    """What a database that was just upgraded lacks, or has beside the tables.

    Args:
        folder: Where the database is made.
        migrations: The service's migrations.
        tables: Its tables; those of others in the same database are left aside.
    """

    def compare(connection: Connection) -> list[object]:
        def ours(_: object, name: str | None, kind: str, *__: object) -> bool:
            return kind != "table" or name in tables.tables

        context = MigrationContext.configure(connection, opts={"include_object": ours})
        return list(compare_metadata(context, tables))

    database = open_database(f"sqlite+aiosqlite:///{folder / 'service.db'}")
    try:
        await upgrade(database, migrations)
        async with database.engine.connect() as connection:
            return await connection.run_sync(compare)
    finally:
        await database.close()
