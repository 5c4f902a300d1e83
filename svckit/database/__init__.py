"""SQL of a service: the engine, sessions, column types, and migrations at start."""

from svckit.database.engine import (
    DATABASE_FAULTS,
    Database,
    DatabaseInUseError,
    open_database,
)
from svckit.database.migrate import run_migrations, upgrade
from svckit.database.schema import (
    COLUMN_TYPES,
    KitBase,
    UtcDateTime,
    create_kit_tables,
    new_metadata,
)

__all__ = [
    "COLUMN_TYPES",
    "DATABASE_FAULTS",
    "Database",
    "DatabaseInUseError",
    "KitBase",
    "UtcDateTime",
    "create_kit_tables",
    "new_metadata",
    "open_database",
    "run_migrations",
    "upgrade",
]
