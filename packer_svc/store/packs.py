"""Queries on packs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.store.tables import DeploymentRow, PackFragmentRow, PackRow
from svckit.resources import missing, taken


def has_label(label: str) -> ColumnElement[bool]:
    """Returns the condition that a pack has a class of a label."""
    return exists().where(PackFragmentRow.pack_id == PackRow.id, PackFragmentRow.label == label)


async def get(session: AsyncSession, pack_id: str, *, lock: bool = False) -> PackRow:
    """Returns a pack.

    Raises:
        NotFound: There is no such pack.
    """
    row = await session.get(PackRow, pack_id, with_for_update=lock)
    if row is None:
        raise missing(f"packs/{pack_id}")
    return row


async def insert(session: AsyncSession, row: PackRow) -> None:
    """Adds a pack.

    Raises:
        AlreadyExists: A pack has the name.
    """
    await refuse_taken(session, row.id)
    session.add(row)
    await session.flush()


async def refuse_taken(session: AsyncSession, pack_id: str) -> None:
    """Refuses a name that a pack has.

    Raises:
        AlreadyExists: A pack has the name.
    """
    if await session.get(PackRow, pack_id) is not None:
        raise taken(f"packs/{pack_id}")


async def users(session: AsyncSession, pack_id: str) -> Sequence[str]:
    """Returns the names of the deployments that serve a pack or keep it to switch back to."""
    rows = await session.scalars(
        select(DeploymentRow)
        .where(
            or_(
                DeploymentRow.pack_id == pack_id,
                DeploymentRow.previous_pack_id == pack_id,
                DeploymentRow.candidate_pack_id == pack_id,
            )
        )
        .order_by(DeploymentRow.id)
    )
    # A canary is a part of its deployment.
    return list(dict.fromkeys(f"deployments/{row.canary_of or row.id}" for row in rows))
