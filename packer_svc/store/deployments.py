"""Queries on deployments."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.store.tables import DeploymentRow, LastVersionRow, ReplicaRow, RevisionRow
from svckit.resources import missing, taken


class ServingState(StrEnum):
    """Whether a deployment serves; the names of `DeploymentState` without their prefix."""

    PENDING = "PENDING"
    SERVING = "SERVING"
    DEGRADED = "DEGRADED"


async def get(session: AsyncSession, deployment_id: str, *, lock: bool = False) -> DeploymentRow:
    """Returns a deployment, or a canary by the id of its row.

    Raises:
        NotFound: There is no such deployment.
    """
    row = await session.get(DeploymentRow, deployment_id, with_for_update=lock)
    if row is None:
        raise missing(f"deployments/{deployment_id}")
    return row


async def named(session: AsyncSession, deployment_id: str, *, lock: bool = False) -> DeploymentRow:
    """Returns a deployment that a client names; no canary is one.

    Raises:
        NotFound: There is no such deployment.
    """
    row = await get(session, deployment_id, lock=lock)
    if row.canary_of is not None:
        raise missing(f"deployments/{deployment_id}")
    return row


async def refuse_taken(session: AsyncSession, deployment_id: str) -> None:
    """Refuses a name that a deployment has.

    Raises:
        AlreadyExists: A deployment has the name.
    """
    if await session.get(DeploymentRow, deployment_id) is not None:
        raise taken(f"deployments/{deployment_id}")


async def changed(session: AsyncSession) -> int:
    """Counts a change of what is desired; returns the new revision."""
    row = await session.get(RevisionRow, 1, with_for_update=True)
    if row is None:
        row = RevisionRow(id=1, revision=0)
        session.add(row)
    row.revision += 1
    return row.revision


async def next_version(session: AsyncSession, deployment_id: str) -> int:
    """Returns a version that no pack was given under this name before."""
    row = await session.get(LastVersionRow, deployment_id, with_for_update=True)
    if row is None:
        row = LastVersionRow(deployment_id=deployment_id, version=0)
        session.add(row)
    row.version += 1
    return row.version


async def revision(session: AsyncSession) -> int:
    """Returns how often what is desired has changed."""
    row = await session.get(RevisionRow, 1)
    return 0 if row is None else row.revision


def touch(row: DeploymentRow, now: datetime) -> None:
    """Marks a deployment as changed."""
    row.revision += 1
    row.update_time = now


def state_of(row: DeploymentRow, connected: Collection[str]) -> ServingState:
    """Returns whether a deployment serves, as far as the connected replicas say.

    Args:
        row: The deployment with its replicas.
        connected: The replicas that watch now.
    """
    if row.pack_id is None:
        return ServingState.PENDING
    served = {row.version, row.candidate_version} - {0}
    said = {one.replica: one for one in row.replicas}
    ready = [
        replica in said and said[replica].version in served and not said[replica].error
        for replica in connected
    ]
    return ServingState.SERVING if ready and all(ready) else ServingState.DEGRADED


async def refresh_states(session: AsyncSession, connected: Collection[str]) -> None:
    """Writes the state of every deployment that has changed, since replicas came or went."""
    for row in await session.scalars(select(DeploymentRow).with_for_update()):
        row.state = state_of(row, connected)


async def replica(session: AsyncSession, deployment_id: str, name: str) -> ReplicaRow | None:
    """Returns what a replica said of a deployment."""
    return await session.get(ReplicaRow, (deployment_id, name))
