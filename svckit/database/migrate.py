"""Alembic without its command line: a server brings its database up to date at start."""

from collections.abc import Sequence
from pathlib import Path

from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData

from svckit.database.engine import Database

_CONNECTION = "connection"


async def upgrade(database: Database, migrations: Path) -> None:
    """Runs the migrations in the folder `migrations` that the database lacks, all or none.

    The folder holds Alembic's `versions/`, a `script.py.mako` for whoever writes new ones, and an
    `env.py` of one call: `run_migrations([Base.metadata, KitBase.metadata])`.
    """
    async with database.writing() as session:
        connection = await session.connection()
        await connection.run_sync(_upgrade, migrations)


def _upgrade(connection: Connection, migrations: Path) -> None:
    config = Config()
    # Alembic reads options through ConfigParser, to which a percent sign is special.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes[_CONNECTION] = connection
    command.upgrade(config, "head")


def run_migrations(tables: Sequence[MetaData]) -> None:
    """Is the body of every service's `env.py`: migrates the connection that `upgrade` opened.

    Args:
        tables: What the models define, for Alembic to compare a database with.

    Raises:
        RuntimeError: If Alembic was started by something else than `upgrade`.
    """
    connection = context.config.attributes.get(_CONNECTION)
    if connection is None:
        raise RuntimeError("migrations run when a service starts, not from Alembic's command line")
    # Batch mode rebuilds a table where SQLite cannot alter it; elsewhere it alters in place.
    context.configure(
        connection=connection,
        target_metadata=list(tables),
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
