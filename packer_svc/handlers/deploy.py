"""Runs CreateDeployment and UpdateDeployment."""

from __future__ import annotations

from sliceandpack.packer.v1 import deployments_pb2 as pb
from sliceandpack.packer.v1 import packs_pb2

from packer_svc.convert.deployments import encode_deployment
from packer_svc.deployments.board import Board
from packer_svc.deployments.switches import Switches, Wish
from packer_svc.store import deployments, packs
from packer_svc.store.deployments import ServingState
from packer_svc.store.tables import DeploymentRow
from svckit.etags import check_etag
from svckit.foundation import Foundation
from svckit.masks import masked_fields
from svckit.names import ResourcePattern
from svckit.operations.job import JobContext
from svckit.resources import taken

DEPLOYMENT = ResourcePattern.of(pb.Deployment)
PACK = ResourcePattern.of(packs_pb2.Pack)
CHANGEABLE = ("display_name", "pack")


class DeploymentHandlers:
    """The handlers of the operations on deployments.

    Args:
        foundation: What the service stands on.
        board: Who is connected.
        switches: Runs switches.
    """

    def __init__(self, foundation: Foundation, board: Board, switches: Switches) -> None:
        self._foundation = foundation
        self._board = board
        self._switches = switches

    async def create(
        self, context: JobContext, request: pb.CreateDeploymentRequest
    ) -> pb.Deployment:
        """Serves a pack under a new name.

        Raises:
            ServiceError: The name is taken, the pack is gone, or it does not serve; the name is
                then free again.
        """
        operation = context.job.operation
        (pack_id,) = PACK.parse(request.deployment.pack, "deployment.pack")
        async with self._foundation.database.writing() as session:
            row = await session.get(DeploymentRow, request.deployment_id)
            mine = row is not None and (
                row.operation == operation or row.version == context.state.get("version")
            )
            if row is not None and not mine:
                raise taken(row.name)
            if row is None:
                await packs.get(session, pack_id)
                now = self._foundation.clock.now()
                session.add(
                    DeploymentRow(
                        id=request.deployment_id,
                        display_name=request.deployment.display_name,
                        state=ServingState.PENDING,
                        create_time=now,
                        update_time=now,
                    )
                )
        return await self._switches.run(context, Wish(request.deployment_id, pack_id))

    async def update(
        self, context: JobContext, request: pb.UpdateDeploymentRequest
    ) -> pb.Deployment:
        """Switches or renames a deployment.

        Raises:
            ServiceError: It or the pack is gone, its etag is stale, clients would notice, or the
                pack does not serve; what served before then serves again.
        """
        (deployment_id,) = DEPLOYMENT.parse(request.deployment.name, "deployment.name")
        fields = masked_fields(request.deployment, request.update_mask, CHANGEABLE)
        async with self._foundation.database.writing() as session:
            row = await deployments.get(session, deployment_id, lock=True)
            begun = row.operation == context.job.operation or context.state
            if not begun:
                etag = encode_deployment(row, ()).etag
                check_etag(request.deployment.etag, etag, row.name)
            if "display_name" in fields and row.display_name != request.deployment.display_name:
                row.display_name = request.deployment.display_name
                deployments.touch(row, self._foundation.clock.now())
            current = encode_deployment(row, self._board.connected)
        if "pack" not in fields or (current.pack == request.deployment.pack and not begun):
            return current
        (pack_id,) = PACK.parse(request.deployment.pack, "deployment.pack")
        wish = Wish(deployment_id, pack_id, request.allow_signature_change)
        return await self._switches.run(context, wish)
