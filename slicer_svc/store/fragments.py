"""Queries on plans, fragments and the references that hold them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from slicer_svc.store.tables import FragmentRow, PlanRow, ReferenceRow
from svckit.resources import missing


async def plan(session: AsyncSession, model_id: str, plan_id: str) -> PlanRow:
    """Returns a plan.

    Raises:
        NotFound: There is no such plan.
    """
    row = await session.get(PlanRow, (model_id, plan_id))
    if row is None:
        raise missing(f"models/{model_id}/plans/{plan_id}")
    return row


async def fragment(
    session: AsyncSession, model_id: str, fragment_id: str, *, whole: bool = False
) -> FragmentRow:
    """Returns a fragment with its model.

    Args:
        session: A session.
        model_id: The model.
        fragment_id: The fragment.
        whole: Whether its kept units are read too.

    Raises:
        NotFound: There is no such fragment.
    """
    options = [undefer(FragmentRow.kept_units)] if whole else []
    row = await session.get(FragmentRow, (model_id, fragment_id), options=options)
    if row is None:
        raise missing(f"models/{model_id}/fragments/{fragment_id}")
    return row


async def kept(session: AsyncSession, model_id: str) -> Set[str]:
    """Returns the ids of a model's fragments."""
    return set(
        await session.scalars(select(FragmentRow.id).where(FragmentRow.model_id == model_id))
    )


async def reference(
    session: AsyncSession, key: tuple[str, str], now: datetime, *, lock: bool = False
) -> ReferenceRow:
    """Returns a reference.

    Args:
        session: A session; one that may write where `lock` is set.
        key: The ids of model and reference.
        now: The time.
        lock: Whether nobody else may change it until the transaction ends.

    Raises:
        NotFound: There is no such reference, or it has expired: what it held may be gone.
    """
    row = await session.get(ReferenceRow, key, with_for_update=lock)
    if row is None or row.expire_time <= now:
        model_id, reference_id = key
        raise missing(f"models/{model_id}/references/{reference_id}")
    return row


async def drop_expired(session: AsyncSession, model_id: str, now: datetime) -> None:
    """Deletes the references on a model that hold nothing any more."""
    await session.execute(
        delete(ReferenceRow).where(
            ReferenceRow.model_id == model_id, ReferenceRow.expire_time <= now
        )
    )


async def live_references(
    session: AsyncSession, model_id: str, now: datetime
) -> Sequence[ReferenceRow]:
    """Returns the references on a model that have not expired."""
    found = await session.scalars(
        select(ReferenceRow)
        .where(ReferenceRow.model_id == model_id, ReferenceRow.expire_time > now)
        .order_by(ReferenceRow.holder, ReferenceRow.id)
    )
    return found.all()
