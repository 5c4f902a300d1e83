"""Holds references on fragments in the slicer, renews them, and lets them go."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import structlog
from sqlalchemy import delete, or_, select, update

from packer_svc.slicer_client import SlicerClient
from packer_svc.store.tables import HeldReferenceRow, PackRow
from svckit.clock import Clock
from svckit.database import Database
from svckit.errors import NotFound, ServiceError

_log = structlog.stdlib.get_logger(__name__)

DURATION = timedelta(days=14)
"""How far ahead a reference expires."""

RENEW_BEFORE = timedelta(days=7)
"""What is left of a reference when it is renewed: the slicer may be away for that long."""

INTERVAL_SECONDS = 60.0
"""The time between two looks at what is to be renewed or let go; up to a tenth more."""


class HeldReferences:
    """The references of all packs, one a pack and model.

    An async context manager that renews and lets go while it is entered.

    Args:
        database: Where it is written down what is held.
        slicer: The slicer.
        clock: Tells the time and waits.
    """

    def __init__(self, database: Database, slicer: SlicerClient, clock: Clock) -> None:
        self._database = database
        self._slicer = slicer
        self._clock = clock
        self._woken = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> HeldReferences:
        self._loop = asyncio.create_task(self._run(), name="references")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    async def take(self, pack_id: str, fragments: Sequence[str]) -> None:
        """Takes the references of a pack that is being made, each written down beforehand.

        Args:
            pack_id: The pack.
            fragments: The names of its fragments.

        Raises:
            NotFound: A fragment is gone.
            Unavailable: SLICER_UNAVAILABLE.
        """
        by_model: dict[str, list[str]] = {}
        for fragment in fragments:
            by_model.setdefault(fragment.partition("/fragments/")[0], []).append(fragment)
        for model, held in by_model.items():
            name = f"{model}/references/{reference_id(pack_id, held)}"
            await self._hold(name, pack_id, held)

    async def _hold(self, name: str, pack_id: str, fragments: Sequence[str]) -> None:
        expire_time = self._clock.now() + DURATION
        async with self._database.writing() as session:
            await session.merge(
                HeldReferenceRow(
                    name=name,
                    pack_id=pack_id,
                    fragments=list(fragments),
                    expire_time=expire_time,
                    released=False,
                )
            )
        await self._slicer.hold(name, f"packs/{pack_id}", fragments, expire_time)

    async def give_up(self, pack_id: str, operation: str) -> None:
        """Lets the references of a pack go unless it was kept.

        Args:
            pack_id: The pack.
            operation: The operation that was to make it.
        """
        async with self._database.writing() as session:
            pack = await session.get(PackRow, pack_id)
            if pack is None or pack.operation != operation:
                await session.execute(
                    update(HeldReferenceRow)
                    .where(HeldReferenceRow.pack_id == pack_id)
                    .values(released=True)
                )
        self.wake()

    def wake(self) -> None:
        """Looks at what is to be let go now."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self.settle()
            except ServiceError as error:
                _log.warning("references_not_settled", reason=error.reason_name)
            with suppress(TimeoutError):
                pause = INTERVAL_SECONDS * (1 + random.random() / 10)  # noqa: S311
                async with asyncio.timeout(pause):
                    await self._woken.wait()

    async def settle(self) -> None:
        """Renews what expires soon and lets go of what no pack needs.

        Raises:
            ServiceError: The slicer cannot be reached; the next look tries again.
        """
        now = self._clock.now()
        due = or_(HeldReferenceRow.released, HeldReferenceRow.expire_time < now + RENEW_BEFORE)
        async with self._database.reading() as session:
            rows = (await session.scalars(select(HeldReferenceRow).where(due))).all()
            kept = set(await session.scalars(select(PackRow.id)))
        for row in rows:
            if row.released:
                await self._slicer.release(row.name)
                await self._forget(row.name)
            elif row.pack_id in kept:
                await self._renew(row)
            elif row.expire_time < now:
                # A pack that was never finished: the slicer has let go by itself.
                await self._forget(row.name)

    async def _renew(self, row: HeldReferenceRow) -> None:
        try:
            await self._hold(row.name, row.pack_id, row.fragments)
        except NotFound:
            # The model was deleted by force: the pack lives on with its own copies.
            _log.warning("reference_lost", reference=row.name)
            await self._forget(row.name)

    async def _forget(self, name: str) -> None:
        async with self._database.writing() as session:
            await session.execute(delete(HeldReferenceRow).where(HeldReferenceRow.name == name))


def reference_id(pack_id: str, fragments: Sequence[str]) -> str:
    """Returns the id of a reference: the same for the same pack and fragments."""
    text = "\n".join((pack_id, *fragments))
    return f"pack-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
