"""The methods on references."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf import empty_pb2
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2_grpc, references_pb2
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from slicer_svc.convert.references import decode_expire_time, encode_reference
from slicer_svc.servicer.fragments import FRAGMENT
from slicer_svc.servicer.models import MODEL
from slicer_svc.store import fragments, models
from slicer_svc.store.tables import ReferenceRow
from svckit.errors import FieldViolation
from svckit.etags import check_etag
from svckit.filters import equals
from svckit.foundation import Foundation
from svckit.listing import Listing, ListQuery, fetch_page
from svckit.masks import masked_fields
from svckit.names import ResourcePattern, id_violations, new_id
from svckit.operations.replay import Call
from svckit.resources import taken
from svckit.validation import refuse

Context = grpc.aio.ServicerContext[Any, Any]

REFERENCE = ResourcePattern.of(references_pb2.Reference)
LONGEST = timedelta(days=30)
"""How far ahead a reference may expire."""
MAX_FRAGMENTS = 1000
"""How many fragments a reference may hold."""
MAX_HOLDER = 256
"""The longest name of a holder, in characters."""

COLUMNS = ReferenceRow.__table__.c
LISTING = Listing(
    filters={"holder": equals(COLUMNS.holder)},
    orders={"create_time": COLUMNS.create_time, "name": COLUMNS.id},
    default_order="create_time desc",
    key="name",
)


class ReferenceMethods(models_pb2_grpc.ModelsServicer):
    """Takes, renews and lets go of references.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    async def CreateReference(
        self, request: pb.CreateReferenceRequest, context: Context
    ) -> references_pb2.Reference:
        """Takes a reference on fragments of a model."""
        (model_id,) = MODEL.parse(request.parent, "parent")
        refuse(self._violations(request, model_id))

        reference_id = request.reference_id or new_id("reference")

        async def check(session: AsyncSession) -> None:
            for name in request.reference.fragments:
                await fragments.fragment(session, *FRAGMENT.parse(name))
            if await session.get(ReferenceRow, (model_id, reference_id)) is not None:
                raise taken(REFERENCE.format(model_id, reference_id))

        async def create(session: AsyncSession) -> references_pb2.Reference:
            await models.get(session, model_id, lock=True)
            now = self._foundation.clock.now()
            await fragments.drop_expired(session, model_id, now)
            await check(session)
            row = ReferenceRow(
                model_id=model_id,
                id=reference_id,
                holder=request.reference.holder,
                fragments=list(request.reference.fragments),
                expire_time=decode_expire_time(request.reference),
                create_time=now,
            )
            session.add(row)
            await session.flush()
            return encode_reference(row)

        if request.validate_only:
            async with self._foundation.database.reading() as session:
                await models.get(session, model_id)
                await check(session)
            return request.reference
        call = Call("CreateReference", request, request.request_id)
        return await self._foundation.operations.replay.once(call, create, references_pb2.Reference)

    async def GetReference(
        self, request: pb.GetReferenceRequest, context: Context
    ) -> references_pb2.Reference:
        """Returns one reference."""
        model_id, reference_id = REFERENCE.parse(request.name)
        key, now = (model_id, reference_id), self._foundation.clock.now()
        async with self._foundation.database.reading() as session:
            return encode_reference(await fragments.reference(session, key, now))

    async def ListReferences(
        self, request: pb.ListReferencesRequest, context: Context
    ) -> pb.ListReferencesResponse:
        """Lists the references on a model."""
        (model_id,) = MODEL.parse(request.parent, "parent")
        query = ListQuery.of(request, request.parent)
        live = ReferenceRow.expire_time > self._foundation.clock.now()
        statement = select(ReferenceRow).where(ReferenceRow.model_id == model_id, live)
        async with self._foundation.database.reading() as session:
            await models.get(session, model_id)
            page = await fetch_page(
                session, statement, LISTING, query, self._foundation.page_tokens, encode_reference
            )
            return pb.ListReferencesResponse(
                references=page.items, next_page_token=page.next_page_token
            )

    async def UpdateReference(
        self, request: pb.UpdateReferenceRequest, context: Context
    ) -> references_pb2.Reference:
        """Renews a reference."""
        model_id, reference_id = REFERENCE.parse(request.reference.name, "reference.name")
        masked_fields(request.reference, request.update_mask, ("expire_time",))
        refuse(self._expiry_violations(request.reference))
        key, now = (model_id, reference_id), self._foundation.clock.now()
        expire_time = decode_expire_time(request.reference)
        assert expire_time is not None

        async def renew(session: AsyncSession) -> references_pb2.Reference:
            row = await fragments.reference(session, key, now, lock=True)
            check_etag(request.reference.etag, encode_reference(row).etag, row.name)
            row.expire_time = expire_time
            return encode_reference(row)

        call = Call("UpdateReference", request, request.request_id)
        return await self._foundation.operations.replay.once(call, renew, references_pb2.Reference)

    async def DeleteReference(
        self, request: pb.DeleteReferenceRequest, context: Context
    ) -> empty_pb2.Empty:
        """Lets go of a reference."""
        model_id, reference_id = REFERENCE.parse(request.name)
        key, now = (model_id, reference_id), self._foundation.clock.now()

        async def delete(session: AsyncSession) -> empty_pb2.Empty:
            await session.delete(await fragments.reference(session, key, now, lock=True))
            return empty_pb2.Empty()

        call = Call("DeleteReference", request, request.request_id)
        return await self._foundation.operations.replay.once(call, delete, empty_pb2.Empty)

    def _violations(
        self, request: pb.CreateReferenceRequest, model_id: str
    ) -> Iterator[FieldViolation]:
        if request.reference_id:
            yield from id_violations(request.reference_id, "reference_id")
        holder = request.reference.holder
        if len(holder) > MAX_HOLDER or not holder.isprintable():
            yield FieldViolation(
                "reference.holder", f"it has at most {MAX_HOLDER} printable characters"
            )
        names = request.reference.fragments
        if len(names) > MAX_FRAGMENTS:
            yield FieldViolation("reference.fragments", f"there are at most {MAX_FRAGMENTS}")
        for place, name in enumerate(names[:MAX_FRAGMENTS]):
            field = f"reference.fragments[{place}]"
            if FRAGMENT.parse(name, field)[0] != model_id:
                yield FieldViolation(field, "it is a fragment of another model")
        yield from self._expiry_violations(request.reference)

    def _expiry_violations(self, reference: references_pb2.Reference) -> Iterator[FieldViolation]:
        now = self._foundation.clock.now()
        expire_time = decode_expire_time(reference)
        if expire_time is None or not now < expire_time <= now + LONGEST:
            yield FieldViolation("reference.expire_time", f"it is in the next {LONGEST.days} days")
