"""Runs StartCanary and PromoteCanary.

To replicas, a canary is one more name with a pack; so it is begun, checked and taken back as a new
deployment is. Promoting is a switch of the deployment whose end is also the end of the canary.
"""

from __future__ import annotations

from sliceandpack.packer.v1 import deployments_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.convert.deployments import encode_deployment
from packer_svc.deployments.board import Board
from packer_svc.deployments.switches import (
    Switches,
    Wish,
    refuse_changed_signature,
    refuse_switching,
)
from packer_svc.handlers.deploy import DEPLOYMENT, PACK, refuse_altered
from packer_svc.store import canaries, deployments, packs
from packer_svc.store.deployments import ServingState
from packer_svc.store.failures import canary_in_progress, no_canary
from packer_svc.store.tables import CANARY_SUFFIX, DeploymentRow
from svckit.etags import check_etag
from svckit.foundation import Foundation
from svckit.operations.job import JobContext


class CanaryHandlers:
    """The handlers of the operations on canaries.

    Args:
        foundation: What the service stands on.
        board: Who is connected.
        switches: Runs switches.
    """

    def __init__(self, foundation: Foundation, board: Board, switches: Switches) -> None:
        self._foundation = foundation
        self._board = board
        self._switches = switches

    async def start(self, context: JobContext, request: pb.StartCanaryRequest) -> pb.Deployment:
        """Serves a pack beside a deployment, or gives its canary another share.

        Raises:
            ServiceError: The deployment or the pack is gone, it has another canary, clients would
                notice, or the pack was altered or does not serve; there is no canary then.
        """
        operation = context.job.operation
        (deployment_id,) = DEPLOYMENT.parse(request.name)
        (pack_id,) = PACK.parse(request.pack, "pack")
        canary_id = canaries.row_id(deployment_id)
        async with self._foundation.database.reading() as session:
            begun = await canaries.beside(session, deployment_id)
        if begun is None:
            await refuse_altered(self._foundation, pack_id)
        async with self._foundation.database.writing() as session:
            row = await deployments.named(session, deployment_id, lock=True)
            canary = await canaries.beside(session, deployment_id, lock=True)
            await check_start(session, row, canary, request, operation)
            if canary is None:
                canary = self._new_row(deployment_id, request.share, operation)
                session.add(canary)
                await self._switches.begin(session, canary, Wish(canary_id, pack_id), operation)
                deployments.touch(row, self._foundation.clock.now())
            elif canary.created_by != operation and canary.share != request.share:
                canary.share = request.share
                deployments.touch(row, self._foundation.clock.now())
            under_way = canary.operation == operation
        if under_way:
            await self._switches.conclude(context, Wish(canary_id, pack_id))
        async with self._foundation.database.reading() as session:
            row = await deployments.named(session, deployment_id)
            canary = await canaries.beside(session, deployment_id)
            return encode_deployment(row, self._board.connected, canary)

    def _new_row(self, deployment_id: str, share: float, operation: str) -> DeploymentRow:
        now = self._foundation.clock.now()
        return DeploymentRow(
            id=canaries.row_id(deployment_id),
            canary_of=deployment_id,
            share=share,
            display_name="",
            created_by=operation,
            state=ServingState.PENDING,
            version=0,
            previous_version=0,
            revision=1,
            create_time=now,
            update_time=now,
            replicas=[],
        )

    async def promote(self, context: JobContext, request: pb.PromoteCanaryRequest) -> pb.Deployment:
        """Switches a deployment to the pack of its canary, and ends that.

        Raises:
            ServiceError: There is no canary, its pack was altered, or does not serve under the
                deployment's name; what served before then serves again, and the canary too.
        """
        operation = context.job.operation
        (deployment_id,) = DEPLOYMENT.parse(request.name)
        async with self._foundation.database.reading() as session:
            row = await deployments.named(session, deployment_id)
            canary = await canaries.beside(session, deployment_id)
        pack_id = context.state.get("pack")
        if canary is None:
            if pack_id is None or row.pack_id != pack_id:
                raise no_canary(row.name)
            # An attempt before a crash has done it.
            return encode_deployment(row, self._board.connected)
        if row.operation != operation:
            pack_id = canary.pack_id or ""
            await refuse_altered(self._foundation, pack_id)
            await context.save({"pack": pack_id})
        wish = Wish(deployment_id, str(pack_id))
        async with self._foundation.database.writing() as session:
            row = await deployments.named(session, deployment_id, lock=True)
            if row.operation != operation:
                canary = await canaries.beside(session, deployment_id, lock=True)
                etag = request.etag if context.job.attempt == 1 else ""
                if settled_canary(row, canary, etag).pack_id != pack_id:
                    raise no_canary(row.name)
                await self._switches.begin(session, row, wish, operation)
        return await self._switches.conclude(context, wish)


async def check_start(
    session: AsyncSession,
    row: DeploymentRow,
    canary: DeploymentRow | None,
    request: pb.StartCanaryRequest,
    operation: str | None = None,
) -> None:
    """Refuses a canary that cannot be started, or its share not changed.

    Args:
        session: The session.
        row: The deployment.
        canary: Its canary.
        request: What is asked.
        operation: Who asks, where it may have begun already.

    Raises:
        NotFound: There is no such pack.
        AlreadyExists: A deployment that was made before the name was reserved is called like it.
        Aborted: SWITCH_IN_PROGRESS.
        FailedPrecondition: CANARY_IN_PROGRESS or SIGNATURE_CHANGED.
    """
    (pack_id,) = PACK.parse(request.pack, "pack")
    if canary is not None:
        if canary.created_by == operation:
            return
        if pack_id != (canary.pack_id or canary.candidate_pack_id):
            raise canary_in_progress(row.name, canary.pack_id or canary.candidate_pack_id or "")
        refuse_switching(row)
        refuse_switching(canary)
        return
    refuse_switching(row)
    await deployments.refuse_taken(session, f"{row.id}{CANARY_SUFFIX}")
    pack = await packs.get(session, pack_id)
    if not request.allow_signature_change:
        await refuse_changed_signature(session, row, pack)


def settled_canary(row: DeploymentRow, canary: DeploymentRow | None, etag: str) -> DeploymentRow:
    """Returns the canary of a deployment, if nothing is under way with either.

    Args:
        row: The deployment.
        canary: Its canary.
        etag: What the deployment's etag must be, if given.

    Raises:
        NotFound: There is no canary.
        Aborted: SWITCH_IN_PROGRESS or ETAG_MISMATCH.
    """
    check_etag(etag, encode_deployment(row, ()).etag, row.name)
    refuse_switching(row)
    if canary is None:
        raise no_canary(row.name)
    refuse_switching(canary)
    return canary
