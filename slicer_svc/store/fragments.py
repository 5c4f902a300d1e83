"""Queries on plans, fragments and the references that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

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


async def fragment(session: AsyncSession, model_id: str, fragment_id: str) -> FragmentRow:
    """Returns a fragment with its model.

    Raises:
        NotFound: There is no such fragment.
    """
    row = await session.get(FragmentRow, (model_id, fragment_id))
    if row is None:
        raise missing(f"models/{model_id}/fragments/{fragment_id}")
    return row


async def reference(
    session: AsyncSession, model_id: str, reference_id: str, *, lock: bool = False
) -> ReferenceRow:
    """Returns a reference.

    Raises:
        NotFound: There is no such reference.
    """
    row = await session.get(ReferenceRow, (model_id, reference_id), with_for_update=lock)
    if row is None:
        raise missing(f"models/{model_id}/references/{reference_id}")
    return row


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
