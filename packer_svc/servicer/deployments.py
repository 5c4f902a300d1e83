"""The gRPC service `sliceandpack.packer.v1.Deployments`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sliceandpack.packer.v1 import deployments_pb2_grpc
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.convert.comparison import kept_comparison
from packer_svc.convert.deployments import (
    decode_error,
    decode_parity,
    encode_deployment,
    replica_violations,
    report_violations,
    text_violations,
)
from packer_svc.deployments.board import DESIRED, Board, reports_on
from packer_svc.deployments.desired import desired_state
from packer_svc.deployments.gate import Gate
from packer_svc.deployments.switches import refuse_changed_signature, refuse_switching
from packer_svc.handlers.deploy import CHANGEABLE, DEPLOYMENT, PACK
from packer_svc.servicer.canaries import CanaryMethods
from packer_svc.store import canaries, deployments, packs
from packer_svc.store.deployments import ServingState
from packer_svc.store.tables import CANARY_SUFFIX, DeploymentRow, ReplicaRow
from svckit.clock import wait_until_set
from svckit.errors import FieldViolation, InvalidArgument
from svckit.etags import check_etag
from svckit.filters import invalid_filter
from svckit.foundation import Foundation
from svckit.listing import Listing, ListQuery, fetch_page
from svckit.masks import masked_fields
from svckit.names import id_violations
from svckit.operations.replay import Call
from svckit.upkeep import Upkeep
from svckit.validation import refuse

Context = grpc.aio.ServicerContext[Any, Any]

# How often a stream looks although nobody gave notice, in seconds.
_POLL_SECONDS = 10.0
_COLUMNS = DeploymentRow.__table__.c


def _in_state(text: str) -> ColumnElement[bool]:
    if text not in set(ServingState):
        known = ", ".join(ServingState)
        raise invalid_filter(text, f"{text!r} is no state.", f"The states are {known}.")
    return _COLUMNS.state == text


def _of_pack(name: str) -> ColumnElement[bool]:
    return _COLUMNS.pack_id == PACK.parse(name, "filter")[0]


LISTING = Listing(
    filters={"state": _in_state, "pack": _of_pack},
    orders={"create_time": _COLUMNS.create_time, "name": _COLUMNS.id},
    default_order="create_time desc",
    key="name",
)


class DeploymentsServicer(CanaryMethods, deployments_pb2_grpc.DeploymentsServicer):
    """Says what is served, and hears from replicas.

    Args:
        foundation: What the service stands on.
        board: Who is connected, and word of changes.
        presence: Writes the states that follow from who is connected.
        gate: Which packs may be served.
    """

    def __init__(self, foundation: Foundation, board: Board, presence: Upkeep, gate: Gate) -> None:
        super().__init__(foundation, board, gate)
        self._presence = presence

    async def CreateDeployment(
        self, request: pb.CreateDeploymentRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the serving of a pack under a new name."""
        refuse(_create_violations(request))
        (pack_id,) = PACK.parse(request.deployment.pack, "deployment.pack")

        async def check(session: AsyncSession) -> None:
            self._gate.refuse(await packs.get(session, pack_id))
            await deployments.refuse_taken(session, request.deployment_id)

        target = DEPLOYMENT.format(request.deployment_id)
        return await self._foundation.accept(request, target, check, request.deployment)

    async def UpdateDeployment(
        self, request: pb.UpdateDeploymentRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues a switch or a new display name."""
        (deployment_id,) = DEPLOYMENT.parse(request.deployment.name, "deployment.name")
        fields = masked_fields(request.deployment, request.update_mask, CHANGEABLE)
        refuse(text_violations(request.deployment))
        pack_id = None
        if "pack" in fields:
            (pack_id,) = PACK.parse(request.deployment.pack, "deployment.pack")

        async def check(session: AsyncSession) -> None:
            row = await deployments.named(session, deployment_id)
            check_etag(request.deployment.etag, encode_deployment(row, ()).etag, row.name)
            refuse_switching(row)
            if pack_id is not None:
                pack = await packs.get(session, pack_id)
                if pack_id != row.pack_id:
                    await canaries.refuse_beside(session, row)
                    self._gate.refuse(pack)
                if not request.allow_signature_change:
                    await refuse_changed_signature(session, row, pack)

        target = request.deployment.name
        return await self._foundation.accept(request, target, check, request.deployment)

    async def GetDeployment(
        self, request: pb.GetDeploymentRequest, context: Context
    ) -> pb.Deployment:
        """Returns one deployment."""
        (deployment_id,) = DEPLOYMENT.parse(request.name)
        async with self._foundation.database.reading() as session:
            row = await deployments.named(session, deployment_id)
            canary = await canaries.beside(session, deployment_id)
            return encode_deployment(row, self._board.connected, canary)

    async def ListDeployments(
        self, request: pb.ListDeploymentsRequest, context: Context
    ) -> pb.ListDeploymentsResponse:
        """Lists deployments."""
        query = ListQuery.of(request)
        async with self._foundation.database.reading() as session:
            beside = await canaries.all_by_deployment(session)
            page = await fetch_page(
                session,
                select(DeploymentRow).where(DeploymentRow.canary_of.is_(None)),
                LISTING,
                query,
                self._foundation.page_tokens,
                lambda row: encode_deployment(row, self._board.connected, beside.get(row.id)),
            )
            return pb.ListDeploymentsResponse(
                deployments=page.items, next_page_token=page.next_page_token
            )

    async def DeleteDeployment(
        self, request: pb.DeleteDeploymentRequest, context: Context
    ) -> empty_pb2.Empty:
        """Stops serving under a name, its canary too."""
        (deployment_id,) = DEPLOYMENT.parse(request.name)

        async def delete(session: AsyncSession) -> empty_pb2.Empty:
            row = await deployments.named(session, deployment_id, lock=True)
            canary = await canaries.beside(session, deployment_id, lock=True)
            check_etag(request.etag, encode_deployment(row, ()).etag, row.name)
            for part in (row, canary):
                if part is not None:
                    refuse_switching(part)
                    await session.delete(part)
            await deployments.changed(session)
            return empty_pb2.Empty()

        call = Call("DeleteDeployment", request, request.request_id)
        answer = await self._foundation.operations.replay.once(call, delete, empty_pb2.Empty)
        self._board.changes.notify(DESIRED)
        return answer

    async def WatchDesired(
        self, request: pb.WatchDesiredRequest, context: Context
    ) -> AsyncIterator[pb.DesiredState]:
        """Yields all that is desired, again after every change."""
        refuse(replica_violations(request.replica))
        try:
            with (
                self._board.watching(request.replica),
                self._board.changes.listen(DESIRED) as changed,
            ):
                self._presence.wake()
                sent = -1
                while True:
                    changed.clear()
                    async with self._foundation.database.reading() as session:
                        state = await desired_state(session)
                    if state.revision != sent:
                        sent = state.revision
                        yield state
                    await wait_until_set(changed, self._foundation.clock, _POLL_SECONDS)
        finally:
            self._presence.wake()

    async def ReportReady(
        self, request: pb.ReportReadyRequest, context: Context
    ) -> pb.ReportReadyResponse:
        """Takes what a replica says of a deployment or a canary."""
        (model,) = DEPLOYMENT.parse(request.deployment, "deployment")
        refuse(report_violations(request))
        async with self._foundation.database.writing() as session:
            row = await canaries.by_model(session, model, lock=True)
            if request.generation > row.generation:
                raise _unknown_generation(request, row.generation)
            said = await deployments.replica(session, row.id, request.replica)
            if said is None:
                said = ReplicaRow(deployment_id=row.id, replica=request.replica)
                row.replicas.append(said)
            elif said.generation > request.generation:
                # An older report that was overtaken on its way.
                return pb.ReportReadyResponse()
            said.generation, said.version = request.generation, request.version
            said.error, said.parity = decode_error(request), decode_parity(request)
            current = row.canary_of is not None and request.generation == row.generation
            if current and request.HasField("comparison"):
                said.comparison = kept_comparison(said.comparison, request.comparison)
            said.report_time = self._foundation.clock.now()
            row.state = deployments.state_of(row, self._board.connected)
        self._board.changes.notify(reports_on(row.id))
        return pb.ReportReadyResponse()


def _create_violations(request: pb.CreateDeploymentRequest) -> Iterator[FieldViolation]:
    yield from id_violations(request.deployment_id, "deployment_id")
    if request.deployment_id.endswith(CANARY_SUFFIX):
        yield FieldViolation("deployment_id", f'"{CANARY_SUFFIX}" at the end is for canaries')
    yield from text_violations(request.deployment)


def _unknown_generation(request: pb.ReportReadyRequest, current: int) -> InvalidArgument:
    return InvalidArgument(
        reasons.ERROR_REASON_FIELD_INVALID,
        f"{request.deployment} has no generation {request.generation} yet, only {current}.",
        advice="Watch what is desired, and report on that.",
        metadata={"field": "generation"},
    )
