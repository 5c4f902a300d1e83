"""Queries on specifications."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from slicer_svc.store.tables import MISSING_LENGTH, ModelRow, SpecificationRow
from svckit.artifacts.digests import Artifact

ROLE = "specification"
"""What a model needs its specification's artifact for."""

State = tuple[int, int]
"""How many rows there are, and the highest number of one: differs after every change."""


@dataclass(frozen=True)
class Specified:
    """A model that searches can find.

    Attributes:
        serial: The number of its row.
        model: Its resource name.
        digest: Its specification.
    """

    serial: int
    model: str
    digest: str


def specification_row(
    made: Mapping[str, Any], stored: Artifact | None, now: datetime
) -> SpecificationRow:
    """Returns the row of what a worker made.

    Args:
        made: What `slicer_svc.jobs.specify_model.specified` says.
        stored: The specification; None where there is none.
        now: When it was made.
    """
    return SpecificationRow(
        version=made["version"],
        facts=made["facts"],
        missing=made["missing"][:MISSING_LENGTH],
        digest=None if stored is None else stored.digest,
        size=0 if stored is None else stored.size_bytes,
        create_time=now,
    )


async def replace(session: AsyncSession, model_id: str, row: SpecificationRow) -> None:
    """Gives a model that is there a specification, in place of the one it had."""
    await session.execute(delete(SpecificationRow).where(SpecificationRow.model_id == model_id))
    row.model_id = model_id
    session.add(row)
    await session.flush()


async def state(session: AsyncSession) -> State:
    """Returns what differs after every change of the table."""
    columns = func.count(), func.coalesce(func.max(SpecificationRow.serial), 0)
    count, highest = (await session.execute(select(*columns))).one()
    return count, highest


async def only_grew(session: AsyncSession, before: State, now: State) -> bool:
    """Whether nothing but rows with higher numbers came between two states, `now` the table's."""
    newer = select(func.count()).where(SpecificationRow.serial > before[1])
    return before[0] + int(await session.scalar(newer) or 0) == now[0]


async def specified(session: AsyncSession, version: int, *, after: int = 0) -> Sequence[Specified]:
    """Returns models that searches can find.

    Args:
        session: A session.
        version: The version of the specifications that are compared.
        after: Their rows have higher numbers.
    """
    rows = await session.execute(
        select(SpecificationRow.serial, SpecificationRow.model_id, SpecificationRow.digest)
        .where(
            SpecificationRow.serial > after,
            SpecificationRow.digest.is_not(None),
            SpecificationRow.version == version,
        )
        .order_by(SpecificationRow.serial)
    )
    return [Specified(serial, f"models/{model}", str(digest)) for serial, model, digest in rows]


async def unspecified(session: AsyncSession, version: int) -> Sequence[str]:
    """Returns the ids of models for which no specification of a version was made, oldest first."""
    made = select(SpecificationRow.model_id).where(SpecificationRow.version == version)
    wanted = select(ModelRow.id).where(ModelRow.id.not_in(made))
    return list(await session.scalars(wanted.order_by(ModelRow.create_time, ModelRow.id)))


async def forget(session: AsyncSession, serials: Collection[int]) -> None:
    """Deletes rows whose artifacts cannot be read, so that they are made anew."""
    await session.execute(delete(SpecificationRow).where(SpecificationRow.serial.in_(serials)))


async def licensed(session: AsyncSession, licence: str) -> frozenset[str]:
    """Returns the names of the models with a licence."""
    ids = await session.scalars(select(ModelRow.id).where(ModelRow.licence == licence))
    return frozenset(f"models/{one}" for one in ids)


async def described(session: AsyncSession, names: Collection[str]) -> Mapping[str, tuple[str, str]]:
    """Returns the display names and licences of those models that are still there."""
    ids = [name.removeprefix("models/") for name in names]
    columns = ModelRow.id, ModelRow.display_name, ModelRow.licence
    rows = await session.execute(select(*columns).where(ModelRow.id.in_(ids)))
    return {f"models/{model}": (display_name, licence) for model, display_name, licence in rows}
