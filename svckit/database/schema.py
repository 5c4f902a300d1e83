"""Column types, naming of constraints, and the base class of svckit's own tables."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from sqlalchemy import JSON, BigInteger, Connection, DateTime, Dialect, LargeBinary, MetaData
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

# Names for every constraint: without them a later migration could not drop one on SQLite.
_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# The modules that define tables on KitBase: importing them is what registers the tables.
_KIT_TABLES = ("svckit.operations.tables", "svckit.artifacts.tables")


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: only aware datetimes go in, UTC ones come out, on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Turns an aware datetime into UTC.

        Raises:
            ValueError: If the datetime is naive.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: give it a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Gives back UTC; SQLite stores no zone, so its naive values are UTC already."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# For `type_annotation_map` of every declarative base: Mapped[datetime] is then UTC, and so on.
# An integer primary key that SQLite shall number itself needs `Integer` said explicitly.
COLUMN_TYPES: Mapping[Any, TypeEngine[Any]] = {
    datetime: UtcDateTime(),
    int: BigInteger(),
    bytes: LargeBinary(),
    dict[str, Any]: JSON(),
    list[str]: JSON(),
    list[dict[str, Any]]: JSON(),
}


def new_metadata() -> MetaData:
    """Returns an empty MetaData whose constraints are all named, for one declarative base."""
    return MetaData(naming_convention=_NAMES)


class KitBase(DeclarativeBase):
    """The base of the tables that svckit brings into every service's database."""

    metadata = new_metadata()
    type_annotation_map = COLUMN_TYPES


def create_kit_tables(connection: Connection) -> None:
    """Creates the tables of svckit that are missing; called by each service's first migration.

    So no definition of a table is written twice. A later change of such a table comes with a
    function of svckit of its own, which both services' next migrations call and which looks
    whether a fresh database has the change already.
    """
    for module in _KIT_TABLES:
        import_module(module)
    KitBase.metadata.create_all(connection)
