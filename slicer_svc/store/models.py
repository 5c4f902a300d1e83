"""Queries on models."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from slicer_svc.store.tables import CurvesRow, FragmentRow, ModelClassRow, ModelRow, PlanRow
from svckit.resources import missing, taken


def has_label(label: str) -> ColumnElement[bool]:
    """Returns the condition that a model has a class of a label."""
    return exists().where(ModelClassRow.model_id == ModelRow.id, ModelClassRow.label == label)


async def get(session: AsyncSession, model_id: str, *, lock: bool = False) -> ModelRow:
    """Returns a model.

    Args:
        session: A session; one that may write where `lock` is set.
        model_id: The model.
        lock: Whether nobody else may change it until the transaction ends.

    Raises:
        NotFound: There is no such model.
    """
    row = await session.get(ModelRow, model_id, with_for_update=lock)
    if row is None:
        raise missing(f"models/{model_id}")
    return row


async def lock(session: AsyncSession, model: ModelRow) -> None:
    """Locks a model that was read before, as work on it comes to its end.

    Raises:
        NotFound: It was deleted since, even if another model has its name now.
    """
    row = await get(session, model.id, lock=True)
    if row.operation != model.operation:
        raise missing(model.name)


async def insert(session: AsyncSession, row: ModelRow) -> None:
    """Adds a model.

    Raises:
        AlreadyExists: A model has the name.
    """
    session.add(row)
    try:
        await session.flush()
    except IntegrityError as error:
        raise taken(f"models/{row.id}") from error


async def refuse_taken(session: AsyncSession, model_id: str) -> None:
    """Refuses a name that a model has.

    Raises:
        AlreadyExists: A model has the name.
    """
    if await session.get(ModelRow, model_id) is not None:
        raise taken(f"models/{model_id}")


async def owners(session: AsyncSession, row: ModelRow) -> Sequence[str]:
    """Returns the names under which a model and all that goes with it hold artifacts."""
    plans = await session.scalars(select(PlanRow).where(PlanRow.model_id == row.id))
    fragments = await session.scalars(select(FragmentRow).where(FragmentRow.model_id == row.id))
    return [row.name, *(plan.name for plan in plans), *(one.name for one in fragments)]


async def remove(session: AsyncSession, row: ModelRow) -> None:
    """Deletes a model; the database deletes its classes, curves, plans, fragments, references."""
    session.expunge_all()
    await session.execute(delete(ModelRow).where(ModelRow.id == row.id))


async def measurements(session: AsyncSession, model_id: str, key: str) -> CurvesRow | None:
    """Returns kept measurements, None if there are none."""
    return await session.get(CurvesRow, (model_id, key))
