"""Runs CreateDeployment and UpdateDeployment."""

from __future__ import annotations

from collections.abc import Collection

from sliceandpack.packer.v1 import deployments_pb2 as pb
from sliceandpack.packer.v1 import packs_pb2

from packer_svc.convert.deployments import encode_deployment
from packer_svc.deployments.board import Board
from packer_svc.deployments.switches import Switches, Wish, refuse_switching
from packer_svc.store import canaries, deployments, packs
from packer_svc.store.deployments import ServingState
from packer_svc.store.failures import pack_altered
from packer_svc.store.tables import DeploymentRow
from svckit.errors import DataLoss, NotFound
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
            ServiceError: The name is taken, the pack is gone or was altered, or it does not serve;
                the name is then free again.
        """
        operation, deployment_id = context.job.operation, request.deployment_id
        (pack_id,) = PACK.parse(request.deployment.pack, "deployment.pack")
        wish = Wish(deployment_id, pack_id)
        async with self._foundation.database.reading() as session:
            begun = await session.get(DeploymentRow, deployment_id)
        if begun is None:
            await refuse_altered(self._foundation, pack_id)
        async with self._foundation.database.writing() as session:
            row = await session.get(DeploymentRow, deployment_id)
            if row is None:
                row = self._new_row(request, operation)
                session.add(row)
                await self._switches.begin(session, row, wish, operation)
            elif row.created_by != operation:
                raise taken(row.name)
            elif row.operation != operation:
                # An attempt before a crash has done it.
                return encode_deployment(row, self._board.connected)
        return await self._switches.conclude(context, wish)

    def _new_row(self, request: pb.CreateDeploymentRequest, operation: str) -> DeploymentRow:
        now = self._foundation.clock.now()
        return DeploymentRow(
            id=request.deployment_id,
            display_name=request.deployment.display_name,
            created_by=operation,
            state=ServingState.PENDING,
            version=0,
            previous_version=0,
            revision=1,
            create_time=now,
            update_time=now,
            replicas=[],
        )

    async def update(
        self, context: JobContext, request: pb.UpdateDeploymentRequest
    ) -> pb.Deployment:
        """Switches or renames a deployment.

        Raises:
            ServiceError: It or the pack is gone, its etag is stale, clients would notice, or the
                pack was altered or does not serve; what served before then serves again.
        """
        operation = context.job.operation
        (deployment_id,) = DEPLOYMENT.parse(request.deployment.name, "deployment.name")
        fields = masked_fields(request.deployment, request.update_mask, CHANGEABLE)
        async with self._foundation.database.reading() as session:
            row = await deployments.named(session, deployment_id)
        wish = _wish(request, fields, row)
        if wish.pack_id != row.pack_id and row.operation != operation:
            await refuse_altered(self._foundation, wish.pack_id)
        async with self._foundation.database.writing() as session:
            row = await deployments.get(session, deployment_id, lock=True)
            wish = _wish(request, fields, row)
            if row.operation != operation:
                if context.job.attempt == 1 or not _is_as_wished(row, wish):
                    check_etag(request.deployment.etag, encode_deployment(row, ()).etag, row.name)
                refuse_switching(row)
                if row.pack_id == wish.pack_id:
                    canary = await canaries.beside(session, deployment_id)
                    return self._renamed(row, wish.display_name, canary)
                await canaries.refuse_beside(session, row)
                await self._switches.begin(session, row, wish, operation)
        return await self._switches.conclude(context, wish)

    def _renamed(
        self, row: DeploymentRow, display_name: str | None, canary: DeploymentRow | None
    ) -> pb.Deployment:
        if display_name is not None and row.display_name != display_name:
            row.display_name = display_name
            deployments.touch(row, self._foundation.clock.now())
        return encode_deployment(row, self._board.connected, canary)


async def refuse_altered(foundation: Foundation, pack_id: str) -> None:
    """Looks at every byte of what is kept of a pack, before any replica hears of it.

    Raises:
        NotFound: There is no such pack.
        DataLoss: DIGEST_MISMATCH, a byte was altered, or a file is gone.
    """
    async with foundation.database.reading() as session:
        pack = await packs.get(session, pack_id)
    for role in ("graph", "manifest", "proof", "smoke", "report"):
        digest: str | None = getattr(pack, f"{role}_digest")
        if digest is None:  # It was made before there were reports.
            continue
        try:
            await foundation.artifacts.path(digest)
        except (DataLoss, NotFound) as error:
            raise pack_altered(pack.name, role, digest) from error


def _wish(request: pb.UpdateDeploymentRequest, fields: Collection[str], row: DeploymentRow) -> Wish:
    pack_id = row.pack_id or ""
    if "pack" in fields:
        (pack_id,) = PACK.parse(request.deployment.pack, "deployment.pack")
    display_name = request.deployment.display_name if "display_name" in fields else None
    return Wish(row.id, pack_id, display_name, request.allow_signature_change)


def _is_as_wished(row: DeploymentRow, wish: Wish) -> bool:
    """Tells whether nothing is left to do, as after an attempt that ended in a crash."""
    return row.pack_id == wish.pack_id and wish.display_name in (None, row.display_name)
