"""Queries on canaries: rows of deployments that are tried beside another one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.store.failures import canary_in_progress
from packer_svc.store.tables import CANARY_SUFFIX, DeploymentRow
from svckit.resources import missing


def row_id(deployment_id: str) -> str:
    """Returns the id of the row of a deployment's canary.

    Not the model's name, which can be longer than an id; and with a dot, which no id that a client
    chose has.
    """
    return f"canary.{hashlib.sha256(deployment_id.encode()).hexdigest()[:48]}"


async def beside(
    session: AsyncSession, deployment_id: str, *, lock: bool = False
) -> DeploymentRow | None:
    """Returns the canary of a deployment, None if there is none."""
    return await session.get(DeploymentRow, row_id(deployment_id), with_for_update=lock)


async def all_by_deployment(session: AsyncSession) -> Mapping[str, DeploymentRow]:
    """Returns every canary by the id of its deployment."""
    rows = await session.scalars(select(DeploymentRow).where(DeploymentRow.canary_of.is_not(None)))
    return {row.canary_of: row for row in rows if row.canary_of is not None}


async def by_model(session: AsyncSession, model: str, *, lock: bool = False) -> DeploymentRow:
    """Returns the deployment or canary that a replica serves as a model.

    Raises:
        NotFound: There is none.
    """
    row = await session.get(DeploymentRow, model, with_for_update=lock)
    if row is None and model.endswith(CANARY_SUFFIX):
        row = await beside(session, model.removesuffix(CANARY_SUFFIX), lock=lock)
    if row is None or row.model != model:
        raise missing(f"deployments/{model}")
    return row


async def refuse_beside(session: AsyncSession, row: DeploymentRow) -> None:
    """Refuses to switch a deployment while a canary is tried beside it.

    Raises:
        FailedPrecondition: CANARY_IN_PROGRESS.
    """
    canary = await beside(session, row.id)
    if canary is not None:
        raise canary_in_progress(row.name, canary.pack_id or canary.candidate_pack_id or "")
