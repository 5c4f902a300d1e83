"""Remembers what the packer had the slicer do, so that nothing stays of packs that came to nothing.

A fragment that was ordered for a pack belongs to its model like any other once that pack is kept:
other packs may use it. Those that it is not made of, since a pack of them was too slow, are deleted
unless somebody holds them, and so are all of an operation that leaves no pack, and the plans.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

import grpc
from google.longrunning.operations_pb2 import Operation
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc, plans_pb2
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from packer_svc.slicer_client import CALL_SECONDS, reached
from packer_svc.slicer_work import SlicerWork
from packer_svc.store import operations
from packer_svc.store.tables import HeldReferenceRow, OrderedWorkRow, PackFragmentRow, PackRow
from svckit.database import Database
from svckit.errors import FailedPrecondition, NotFound


class OrderedWork:
    """The slicer's operations that the packer's began.

    Args:
        database: Where it is written down.
        channel: A channel to the slicer.
    """

    INTERVAL_SECONDS = 5.0
    """The time between two looks at operations that have ended."""

    def __init__(self, database: Database, channel: grpc.aio.Channel) -> None:
        self._database = database
        self._models = models_pb2_grpc.ModelsStub(channel)
        self._work = SlicerWork(channel)

    async def note(self, operation: str, work: str) -> None:
        """Writes down that an operation has begun one of the slicer's.

        Args:
            operation: The packer's operation.
            work: The slicer's.
        """
        async with self._database.writing() as session:
            await session.merge(OrderedWorkRow(work=work, operation=operation))

    async def settle(self) -> None:
        """Looks after what operations that have ended left in the slicer.

        Raises:
            ServiceError: The slicer cannot be reached; the next look tries again.
        """
        works: dict[str, list[str]] = {}
        async with self._database.reading() as session:
            for row in await session.scalars(select(OrderedWorkRow)):
                works.setdefault(row.operation, []).append(row.work)
            ended = await operations.ended(session, works.keys())
            packed = await _packed(session, ended)
            held = await _those(session, HeldReferenceRow.operation, ended)
        for operation in ended:
            # What the operation itself holds is let go of first.
            if operation in packed or operation not in held:
                await self._settle(operation, works[operation], packed.get(operation, set()))

    async def _settle(self, operation: str, works: Sequence[str], kept: Collection[str]) -> None:
        found = [await self._work.ended(work) for work in works]
        if not all(work is None or work.done for work in found):
            return
        for plan in _plans(found):
            with suppress(NotFound):  # The model is gone, and all with it.
                await self._tidy(plan, kept)
        async with self._database.writing() as session:
            await session.execute(
                delete(OrderedWorkRow).where(OrderedWorkRow.operation == operation)
            )

    async def _tidy(self, plan: str, kept: Collection[str]) -> None:
        """Deletes a plan that made no fragment, and first those that nobody needs.

        Args:
            plan: The plan.
            kept: What the pack is made of.
        """
        made = await self._fragments(plan)
        left = [name for name in made if name in kept or not await self._deleted(name)]
        if not left:
            request = models_pb2.DeletePlanRequest(name=plan)
            await reached(self._models.DeletePlan(request, timeout=CALL_SECONDS))

    async def _fragments(self, plan: str) -> list[str]:
        request = models_pb2.ListFragmentsRequest(
            parent=plan.partition("/plans/")[0], filter=f'plan = "{plan}"', page_size=1_000
        )
        found = await reached(self._models.ListFragments(request, timeout=CALL_SECONDS))
        return [fragment.name for fragment in found.fragments]

    async def _deleted(self, fragment: str) -> bool:
        """Deletes a fragment unless somebody holds it."""
        request = models_pb2.DeleteFragmentRequest(name=fragment)
        try:
            await reached(self._models.DeleteFragment(request, timeout=CALL_SECONDS))
        except FailedPrecondition:
            return False
        except NotFound:
            pass
        return True


def _plans(works: Sequence[Operation | None]) -> list[str]:
    """The plans that some of the slicer's operations have made."""
    found = []
    for work in works:
        plan = plans_pb2.Plan()
        if work is not None and work.response.Unpack(plan):
            found.append(plan.name)
    return found


async def _packed(session: AsyncSession, operations: Collection[str]) -> dict[str, set[str]]:
    """By those of some operations that left a pack the fragments that it is made of."""
    query = (
        select(PackRow.operation, PackFragmentRow.fragment)
        .join(PackFragmentRow, PackFragmentRow.pack_id == PackRow.id)
        .where(PackRow.operation.in_(operations))
    )
    found: dict[str, set[str]] = {}
    for operation, fragment in await session.execute(query):
        found.setdefault(operation, set()).add(fragment)
    return found


async def _those(
    session: AsyncSession, column: InstrumentedAttribute[str], names: Collection[str]
) -> set[str]:
    """Those of some operations that a column has."""
    return set(await session.scalars(select(column).where(column.in_(names))))
