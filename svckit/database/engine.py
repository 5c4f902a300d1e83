"""Opens a service's database: SQLite in WAL mode, or anything else SQLAlchemy speaks."""

import fcntl
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from svckit.errors import ResourceExhausted

# Long enough for the slowest transaction of another connection, short enough to be noticed.
_BUSY_MILLISECONDS = 10_000

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}",
    # NORMAL would lose the last commits of a WAL at a power failure; what was acknowledged stays.
    "PRAGMA synchronous=FULL",
)

_WRITES = "svckit_writes"


# SQLAlchemy has no name of its own for a full disk.
_SQLITE_FULL = 13
_SQLSTATE_FULL = "53100"

DATABASE_FAULTS = (SQLAlchemyError, ResourceExhausted)
"""What a loop in the background survives: a lost connection or a full disk, which may pass."""


class DatabaseInUseError(Exception):
    """Another process has the SQLite file open; two servers cannot share one."""


class Database:
    """An engine with its transactions.

    Attributes:
        engine: The engine, for what sessions cannot do.
        instance: A name of this opening of the database, unique among all processes.
        exclusive: Whether no other process can have the database open, which is so for SQLite.
    """

    def __init__(self, engine: AsyncEngine, lock: int | None) -> None:
        self.engine = engine
        self.instance = uuid.uuid4().hex
        self._lock = lock
        self._writes = engine.execution_options(**{_WRITES: True})

    @property
    def exclusive(self) -> bool:
        """Whether no other process can have the database open."""
        return self._lock is not None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Yields a session that reads one consistent state of the database."""
        async with AsyncSession(self.engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Yields a session in a transaction that may write; commits, or rolls back if it raises.

        On SQLite the write lock is taken at once, since a transaction that reads first and writes
        then fails when another one wrote in between. Keep it short, and lock rows that are read to
        be changed (`with_for_update`), which is what other databases go by.

        Raises:
            ResourceExhausted: STORAGE_FULL, if the disk of the database is full.
        """
        session = AsyncSession(self._writes, expire_on_commit=False)
        try:
            async with session, session.begin():
                yield session
        except DBAPIError as error:
            if not _is_full(error):
                raise
            raise ResourceExhausted(
                reasons.ERROR_REASON_STORAGE_FULL,
                "The disk of the service's database is full; nothing of this was kept.",
                advice="Ask the operator for space on the disk, then try again.",
            ) from error

    async def close(self) -> None:
        """Closes all connections and gives up the exclusive lock; may be called twice."""
        await self.engine.dispose()
        if self._lock is not None:
            lock, self._lock = self._lock, None
            os.close(lock)


def open_database(url: str) -> Database:
    """Opens the database at `url`, such as "sqlite+aiosqlite:////var/lib/slicer/slicer.db".

    The folder of an SQLite file is made if it is missing. A lock beside the file is held until
    `Database.close` or the end of the process, however it ends, so that the next process knows
    all leases in the file to be void.

    Raises:
        DatabaseInUseError: If another process has this SQLite file open.
        ValueError: If the URL asks for an SQLite database in memory, which would not last.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return Database(create_async_engine(url, pool_pre_ping=True), None)
    if parsed.database in (None, "", ":memory:"):
        raise ValueError("an SQLite database needs a file: one in memory would lose its rows")
    path = Path(str(parsed.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _lock(path.with_name(path.name + ".lock"))
    engine = create_async_engine(url)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return Database(engine, lock)


def _is_full(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == _SQLITE_FULL or getattr(error.orig, "sqlstate", None) == _SQLSTATE_FULL


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DatabaseInUseError(
            f"{path.with_suffix('')} is in use by another process: stop that server first, "
            "or give this one a state folder of its own"
        ) from error
    return descriptor


def _prepare_sqlite(connection: Any, record: object) -> None:  # noqa: ANN401, ARG001
    # The driver would begin transactions late and never around DDL; _begin_sqlite does it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
