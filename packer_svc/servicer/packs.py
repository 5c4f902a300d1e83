"""The gRPC service `sliceandpack.packer.v1.Packs`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2, json_format
from sliceandpack.packer.v1 import cloning_pb2, packs_pb2_grpc, reassembly_pb2
from sliceandpack.packer.v1 import packs_pb2 as pb
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.convert.cloning import clone_violations, pack_label
from packer_svc.convert.evaluation import samples_violations
from packer_svc.convert.packs import (
    MIN_CLASSES,
    encode_pack,
    fragment_violations,
    pack_violations,
)
from packer_svc.convert.reassembly import reassembly_violations
from packer_svc.deployments.gate import Gate
from packer_svc.lineage import lineage_of
from packer_svc.recipe import refuse_duplicates
from packer_svc.store import packs
from packer_svc.store.failures import pack_in_use, target_fixed
from packer_svc.store.network_failures import pack_reassembled
from packer_svc.store.tables import PackRow
from svckit.artifacts.digests import digest_from_name
from svckit.errors import FieldViolation
from svckit.etags import check_etag
from svckit.foundation import Check, Foundation
from svckit.listing import Listing, ListQuery, fetch_page
from svckit.names import WILDCARD, ResourcePattern, id_violations
from svckit.operations.replay import Call
from svckit.upkeep import Upkeep
from svckit.validation import refuse

Context = grpc.aio.ServicerContext[Any, Any]

PACK = ResourcePattern.of(pb.Pack)
ORDERS: dict[str, ColumnElement[Any]] = {
    "create_time": PackRow.__table__.c.create_time,
    "name": PackRow.__table__.c.id,
}
LISTING = Listing(
    filters={"label": packs.has_label},
    orders=ORDERS,
    default_order="create_time desc",
    key="name",
)


class PacksServicer(packs_pb2_grpc.PacksServicer):
    """Makes, shows and deletes packs.

    Args:
        foundation: What the service stands on.
        references: Lets go of the references of a pack that is gone.
        gate: Which packs may be deployed.
    """

    def __init__(self, foundation: Foundation, references: Upkeep, gate: Gate) -> None:
        self._foundation = foundation
        self._gate = gate
        self._references = references

    async def CreatePack(
        self, request: pb.CreatePackRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the making of a pack."""
        refuse(_create_violations(request))
        refuse_duplicates(request.pack.fragments)
        check = self._free(request.pack_id, request.pack.options.evaluation_samples)
        return await self._foundation.accept(request, _target(request), check, request.pack)

    async def AddClasses(
        self, request: pb.AddClassesRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the making of a pack with more classes."""
        (pack_id,) = PACK.parse(request.name)
        refuse(
            [
                *id_problems(request.pack_id),
                *fragment_violations(request.fragments, "fragments"),
                *samples_violations(request.evaluation_samples, "evaluation_samples"),
            ]
        )
        refuse_duplicates(request.fragments)

        async def check(session: AsyncSession) -> None:
            base = await packs.get(session, pack_id)
            refuse_reassembled(base)
            if base.clone is not None:
                raise target_fixed(base.name, base.clone["target"])
            refuse_duplicates([*encode_pack(base).fragments, *request.fragments])
            await self._free(request.pack_id, request.evaluation_samples)(session)

        added = pb.Pack(fragments=request.fragments)
        return await self._foundation.accept(request, _target(request), check, added)

    async def RemoveClasses(
        self, request: pb.RemoveClassesRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the making of a pack with fewer classes."""
        (pack_id,) = PACK.parse(request.name)
        refuse(
            [
                *id_problems(request.pack_id),
                *samples_violations(request.evaluation_samples, "evaluation_samples"),
            ]
        )

        async def check(session: AsyncSession) -> None:
            base = await packs.get(session, pack_id)
            refuse_reassembled(base)
            refuse(_removal_violations(request.labels, base.labels))
            _refuse_target(base, request.labels)
            await self._free(request.pack_id, request.evaluation_samples)(session)

        return await self._foundation.accept(request, _target(request), check, pb.Pack())

    async def CloneClasses(
        self, request: cloning_pb2.CloneClassesRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the cloning of classes of one model into another."""
        refuse([*clone_violations(request), *id_problems(request.pack_id)])
        check = self._free(request.pack_id, request.evaluation_samples)
        asked = cloning_pb2.Clone(
            target=request.target, source=request.source, classes=request.classes, spec=request.spec
        )
        answer = pb.Pack(display_name=request.display_name, clone=asked)
        return await self._foundation.accept(request, _target(request), check, answer)

    async def ReassembleModel(
        self, request: reassembly_pb2.ReassembleModelRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the making of a pack of one new network."""
        refuse([*reassembly_violations(request), *id_problems(request.pack_id)])
        check = self._free(request.pack_id, "")
        return await self._foundation.accept(request, _target(request), check, pb.Pack())

    def _free(self, pack_id: str, evaluation_samples: str) -> Check:
        async def check(session: AsyncSession) -> None:
            if pack_id:
                await packs.refuse_taken(session, pack_id)
            if evaluation_samples:
                await self._foundation.artifacts.stat(digest_from_name(evaluation_samples))

        return check

    async def GetPack(self, request: pb.GetPackRequest, context: Context) -> pb.Pack:
        """Returns one pack."""
        (pack_id,) = PACK.parse(request.name)
        async with self._foundation.database.reading() as session:
            return self._gate.shown(encode_pack(await packs.get(session, pack_id)))

    async def ListPacks(
        self, request: pb.ListPacksRequest, context: Context
    ) -> pb.ListPacksResponse:
        """Lists packs."""
        query = ListQuery.of(request)
        async with self._foundation.database.reading() as session:
            page = await fetch_page(
                session,
                select(PackRow),
                LISTING,
                query,
                self._foundation.page_tokens,
                lambda row: self._gate.shown(encode_pack(row)),
            )
            return pb.ListPacksResponse(packs=page.items, next_page_token=page.next_page_token)

    async def DeletePack(self, request: pb.DeletePackRequest, context: Context) -> empty_pb2.Empty:
        """Deletes a pack."""
        (pack_id,) = PACK.parse(request.name)

        async def delete(session: AsyncSession) -> empty_pb2.Empty:
            row = await packs.get(session, pack_id, lock=True)
            check_etag(request.etag, encode_pack(row).etag, row.name)
            users = await packs.users(session, pack_id)
            if users:
                raise pack_in_use(row.name, users)
            await self._foundation.references.remove(session, row.name)
            await session.delete(row)
            return empty_pb2.Empty()

        call = Call("DeletePack", request, request.request_id)
        answer = await self._foundation.operations.replay.once(call, delete, empty_pb2.Empty)
        self._references.wake()
        return answer

    async def GetLineage(self, request: pb.GetLineageRequest, context: Context) -> pb.Lineage:
        """Tells what a pack was made of."""
        (pack_id,) = PACK.parse(request.name)
        async with self._foundation.database.reading() as session:
            return lineage_of(await packs.get(session, pack_id))


def refuse_reassembled(pack: PackRow) -> None:
    """Refuses to change the classes of a pack that is one network.

    Raises:
        FailedPrecondition: PACK_REASSEMBLED.
    """
    if pack.reassembly is not None:
        raise pack_reassembled(pack.name)


def id_problems(pack_id: str) -> Sequence[FieldViolation]:
    """Returns what is wrong with an id that may be left out."""
    return id_violations(pack_id, "pack_id") if pack_id else ()


def _create_violations(request: pb.CreatePackRequest) -> Iterator[FieldViolation]:
    yield from pack_violations(request.pack)
    yield from id_problems(request.pack_id)


def _removal_violations(labels: Sequence[str], known: Sequence[str]) -> Iterator[FieldViolation]:
    for place, label in enumerate(labels):
        if label not in known:
            yield FieldViolation(f"labels[{place}]", f"the pack has no class {label!r}")
    if len(set(known) - set(labels)) < MIN_CLASSES:
        yield FieldViolation("labels", f"a pack keeps at least {MIN_CLASSES} classes")


def _refuse_target(base: PackRow, labels: Sequence[str]) -> None:
    """Refuses to take classes from the target of a clone."""
    if base.clone is None:
        return
    clone = json_format.ParseDict(base.clone, cloning_pb2.Clone())
    if set(labels) - set(map(pack_label, clone.classes)):
        raise target_fixed(base.name, clone.target)


def _target(
    request: pb.CreatePackRequest
    | pb.AddClassesRequest
    | pb.RemoveClassesRequest
    | cloning_pb2.CloneClassesRequest
    | reassembly_pb2.ReassembleModelRequest,
) -> str:
    return PACK.format(request.pack_id or WILDCARD)
