"""The methods on models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2_grpc
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from slicer_svc.convert.models import encode_model, model_violations, text_violations
from slicer_svc.store import fragments, models
from slicer_svc.store.failures import duplicate_label, in_use
from slicer_svc.store.tables import ModelRow
from svckit.artifacts.digests import digest_from_name
from svckit.errors import FieldViolation
from svckit.etags import check_etag
from svckit.filters import equals
from svckit.foundation import Foundation
from svckit.listing import Listing, ListQuery, fetch_page
from svckit.masks import masked_fields
from svckit.names import WILDCARD, ResourcePattern, id_violations
from svckit.operations.replay import Call
from svckit.validation import refuse

Context = grpc.aio.ServicerContext[Any, Any]

MODEL = ResourcePattern.of(pb.Model)
CHANGEABLE = ("display_name", "licence")
ORDERS: dict[str, ColumnElement[Any]] = {
    "create_time": ModelRow.__table__.c.create_time,
    "name": ModelRow.__table__.c.id,
}
LISTING = Listing(
    filters={"label": models.has_label, "licence": equals(ModelRow.__table__.c.licence)},
    orders=ORDERS,
    default_order="create_time desc",
    key="name",
)


class ModelMethods(models_pb2_grpc.ModelsServicer):
    """Submits, shows, changes and deletes models.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    async def CreateModel(
        self, request: pb.CreateModelRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the check of a submitted model."""
        refuse(_create_violations(request))
        label, times = Counter(request.model.labels).most_common(1)[0]
        if times > 1:
            raise duplicate_label(label)
        artifacts = [
            digest_from_name(request.model.graph.name, field="model.graph.name"),
            digest_from_name(request.model.samples.name, field="model.samples.name"),
        ]

        async def check(session: AsyncSession) -> None:
            for digest in artifacts:
                await self._foundation.artifacts.stat(digest)
            if request.model_id:
                await models.refuse_taken(session, request.model_id)

        target = MODEL.format(request.model_id or WILDCARD)
        return await self._foundation.accept(request, target, check, request.model)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.Model:
        """Returns one model."""
        (model_id,) = MODEL.parse(request.name)
        async with self._foundation.database.reading() as session:
            return encode_model(await models.get(session, model_id))

    async def ListModels(
        self, request: pb.ListModelsRequest, context: Context
    ) -> pb.ListModelsResponse:
        """Lists models."""
        query = ListQuery.of(request)
        async with self._foundation.database.reading() as session:
            page = await fetch_page(
                session,
                select(ModelRow),
                LISTING,
                query,
                self._foundation.page_tokens,
                encode_model,
            )
            return pb.ListModelsResponse(models=page.items, next_page_token=page.next_page_token)

    async def UpdateModel(self, request: pb.UpdateModelRequest, context: Context) -> pb.Model:
        """Changes a model's display name or licence."""
        (model_id,) = MODEL.parse(request.model.name, "model.name")
        fields = masked_fields(request.model, request.update_mask, CHANGEABLE)
        refuse(text_violations(request.model))

        async def change(session: AsyncSession) -> pb.Model:
            row = await models.get(session, model_id, lock=True)
            check_etag(request.model.etag, encode_model(row).etag, row.name)
            for field in fields:
                setattr(row, field, getattr(request.model, field))
            row.revision += 1
            row.update_time = self._foundation.clock.now()
            return encode_model(row)

        call = Call("UpdateModel", request, request.request_id)
        return await self._foundation.operations.replay.once(call, change, pb.Model)

    async def DeleteModel(
        self, request: pb.DeleteModelRequest, context: Context
    ) -> empty_pb2.Empty:
        """Deletes a model with its plans and fragments."""
        (model_id,) = MODEL.parse(request.name)

        async def delete(session: AsyncSession) -> empty_pb2.Empty:
            row = await models.get(session, model_id, lock=True)
            check_etag(request.etag, encode_model(row).etag, row.name)
            now = self._foundation.clock.now()
            holders = await fragments.live_references(session, model_id, now)
            if holders and not request.force:
                raise in_use(row.name, sorted({holder.holder for holder in holders}))
            for owner in await models.owners(session, row):
                await self._foundation.references.remove(session, owner)
            await models.remove(session, row)
            return empty_pb2.Empty()

        call = Call("DeleteModel", request, request.request_id)
        return await self._foundation.operations.replay.once(call, delete, empty_pb2.Empty)


def _create_violations(request: pb.CreateModelRequest) -> Iterator[FieldViolation]:
    yield from model_violations(request.model)
    if request.model_id:
        yield from id_violations(request.model_id, "model_id")
