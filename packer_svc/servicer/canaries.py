"""The methods of `sliceandpack.packer.v1.Deployments` on canaries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from google.longrunning import operations_pb2
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.convert.deployments import encode_deployment
from packer_svc.deployments.board import DESIRED, Board
from packer_svc.deployments.gate import Gate
from packer_svc.handlers.canary import check_start, settled_canary
from packer_svc.handlers.deploy import DEPLOYMENT, PACK
from packer_svc.store import canaries, deployments, packs
from svckit.errors import FieldViolation
from svckit.foundation import Foundation
from svckit.operations.replay import Call
from svckit.validation import refuse

Context = grpc.aio.ServicerContext[Any, Any]


class CanaryMethods:
    """Starts, promotes and ends canaries.

    Args:
        foundation: What the service stands on.
        board: Who is connected, and word of changes.
        gate: Which packs may be served.
    """

    def __init__(self, foundation: Foundation, board: Board, gate: Gate) -> None:
        self._foundation = foundation
        self._board = board
        self._gate = gate

    async def StartCanary(
        self, request: pb.StartCanaryRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the serving of a pack beside a deployment, or another share for it."""
        refuse(_share_violations(request))
        (deployment_id,) = DEPLOYMENT.parse(request.name)
        (pack_id,) = PACK.parse(request.pack, "pack")

        async def check(session: AsyncSession) -> None:
            row = await deployments.named(session, deployment_id)
            canary = await canaries.beside(session, deployment_id)
            await check_start(session, row, canary, request)
            if canary is None:
                self._gate.refuse(await packs.get(session, pack_id))

        answer = pb.Deployment(name=request.name)
        return await self._foundation.accept(request, request.name, check, answer)

    async def PromoteCanary(
        self, request: pb.PromoteCanaryRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the switch of a deployment to its canary's pack."""
        (deployment_id,) = DEPLOYMENT.parse(request.name)

        async def check(session: AsyncSession) -> None:
            row = await deployments.named(session, deployment_id)
            beside = await canaries.beside(session, deployment_id)
            canary = settled_canary(row, beside, request.etag)
            self._gate.refuse(await packs.get(session, canary.pack_id or ""))

        answer = pb.Deployment(name=request.name)
        return await self._foundation.accept(request, request.name, check, answer)

    async def EndCanary(self, request: pb.EndCanaryRequest, context: Context) -> pb.Deployment:
        """Takes a canary back."""
        (deployment_id,) = DEPLOYMENT.parse(request.name)

        async def end(session: AsyncSession) -> pb.Deployment:
            row = await deployments.named(session, deployment_id, lock=True)
            canary = await canaries.beside(session, deployment_id, lock=True)
            await session.delete(settled_canary(row, canary, request.etag))
            await deployments.changed(session)
            deployments.touch(row, self._foundation.clock.now())
            return encode_deployment(row, self._board.connected)

        call = Call("EndCanary", request, request.request_id)
        answer = await self._foundation.operations.replay.once(call, end, pb.Deployment)
        self._board.changes.notify(DESIRED)
        return answer


def _share_violations(request: pb.StartCanaryRequest) -> Iterator[FieldViolation]:
    if not 0 <= request.share <= 1:  # Not a number is no share either.
        yield FieldViolation("share", "a share is in [0, 1]")
