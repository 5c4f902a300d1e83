"""The methods on fragments, slicing among them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import grpc
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from sliceandpack.slicer.v1 import fragments_pb2, models_pb2_grpc
from sliceandpack.slicer.v1 import models_pb2 as pb
from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from slicer_svc.convert.fragments import encode_fragment, fold_violations
from slicer_svc.servicer.models import MODEL
from slicer_svc.servicer.plans import PLAN
from slicer_svc.store import fragments, models
from slicer_svc.store.failures import in_use, unknown_class
from slicer_svc.store.tables import FragmentRow, ModelRow
from svckit.errors import FieldViolation
from svckit.filters import equals
from svckit.foundation import Foundation
from svckit.listing import Listing, ListQuery, fetch_page
from svckit.names import WILDCARD, ResourcePattern
from svckit.operations.replay import Call
from svckit.validation import refuse

Context = grpc.aio.ServicerContext[Any, Any]

FRAGMENT = ResourcePattern.of(fragments_pb2.Fragment)
COLUMNS = FragmentRow.__table__.c


def _follows(plan: str) -> ColumnElement[bool]:
    """The condition that a fragment follows a plan."""
    model_id, plan_id = PLAN.parse(plan, "filter")
    return and_(COLUMNS.model_id == model_id, COLUMNS.plan_id == plan_id)


def _licensed(licence: str) -> ColumnElement[bool]:
    return exists().where(ModelRow.id == FragmentRow.model_id, ModelRow.licence == licence)


LISTING = Listing(
    filters={
        "label": equals(COLUMNS.label),
        "plan": _follows,
        "licence": _licensed,
    },
    # The id alone is unique only within a model, and equal models have equal fragments.
    orders={
        "create_time": COLUMNS.create_time,
        "label": COLUMNS.label,
        "name": COLUMNS.model_id + "/" + COLUMNS.id,
    },
    default_order="create_time desc",
    key="name",
)


class FragmentMethods(models_pb2_grpc.ModelsServicer):
    """Slices models, and shows and deletes fragments.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    async def SliceModel(
        self, request: pb.SliceModelRequest, context: Context
    ) -> operations_pb2.Operation:
        """Queues the slicing of classes out of a model."""
        (model_id,) = MODEL.parse(request.name)
        plan_model, plan_id = PLAN.parse(request.plan, "plan")
        if plan_model != model_id:
            refuse([FieldViolation("plan", "it is a plan of another model")])
        refuse(
            FieldViolation("labels", f"{label!r} is named twice")
            for label, times in Counter(request.labels).items()
            if times > 1
        )
        refuse(fold_violations(request))

        async def check(session: AsyncSession) -> None:
            model = await models.get(session, model_id)
            await fragments.plan(session, model_id, plan_id)
            known = set(model.labels)
            for label in request.labels:
                if label not in known:
                    raise unknown_class(model.name, label)

        return await self._foundation.accept(request, request.name, check, pb.SliceModelResponse())

    async def GetFragment(
        self, request: pb.GetFragmentRequest, context: Context
    ) -> fragments_pb2.Fragment:
        """Returns one fragment."""
        model_id, fragment_id = FRAGMENT.parse(request.name)
        async with self._foundation.database.reading() as session:
            row = await fragments.fragment(session, model_id, fragment_id, whole=True)
            return encode_fragment(row, whole=True)

    async def ListFragments(
        self, request: pb.ListFragmentsRequest, context: Context
    ) -> pb.ListFragmentsResponse:
        """Lists the fragments of a model, or of all."""
        (model_id,) = MODEL.parse(request.parent, "parent", wildcards=True)
        query = ListQuery.of(request, request.parent)
        statement = select(FragmentRow)
        async with self._foundation.database.reading() as session:
            if model_id != WILDCARD:
                await models.get(session, model_id)
                statement = statement.where(FragmentRow.model_id == model_id)
            page = await fetch_page(
                session, statement, LISTING, query, self._foundation.page_tokens, encode_fragment
            )
            return pb.ListFragmentsResponse(
                fragments=page.items, next_page_token=page.next_page_token
            )

    async def DeleteFragment(
        self, request: pb.DeleteFragmentRequest, context: Context
    ) -> empty_pb2.Empty:
        """Deletes a fragment."""
        model_id, fragment_id = FRAGMENT.parse(request.name)

        async def delete(session: AsyncSession) -> empty_pb2.Empty:
            # Locked, so that nobody takes a reference on it meanwhile.
            await models.get(session, model_id, lock=True)
            row = await fragments.fragment(session, model_id, fragment_id)
            now = self._foundation.clock.now()
            holders = await fragments.live_references(session, model_id, now)
            packs = sorted({one.holder for one in holders if row.name in one.fragments})
            if packs:
                raise in_use(row.name, packs)
            await self._foundation.references.remove(session, row.name)
            await session.delete(row)
            return empty_pb2.Empty()

        call = Call("DeleteFragment", request, request.request_id)
        return await self._foundation.operations.replay.once(call, delete, empty_pb2.Empty)
