"""All that replicas are to serve, as one message."""

from __future__ import annotations

from sliceandpack.packer.v1 import deployments_pb2 as pb
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.convert.deployments import encode_desired
from packer_svc.store import deployments
from packer_svc.store.tables import DeploymentRow, PackRow


async def desired_state(session: AsyncSession) -> pb.DesiredState:
    """Returns all that is desired, as of one moment."""
    rows = (await session.scalars(select(DeploymentRow).order_by(DeploymentRow.id))).all()
    wanted = {
        pack_id
        for row in rows
        for pack_id in (row.pack_id, row.previous_pack_id, row.candidate_pack_id)
        if pack_id is not None
    }
    found = await session.scalars(select(PackRow).where(PackRow.id.in_(wanted)))
    packs = {pack.id: pack for pack in found}
    desired = [encode_desired(row, packs) for row in rows]
    return pb.DesiredState(
        revision=await deployments.revision(session),
        deployments=[one for one in desired if one is not None],
    )
