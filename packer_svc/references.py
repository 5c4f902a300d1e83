"""Holds references on fragments in the slicer, renews them, and lets them go.

A reference belongs to the operation that took it. It is needed while that operation runs, and as
long as the pack that it made is kept; whatever else happens, a later look lets it go.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.origins import is_fragment, model_of
from packer_svc.slicer_client import SlicerClient, all_of
from packer_svc.store import operations
from packer_svc.store.tables import HeldReferenceRow, PackRow
from svckit.clock import Clock
from svckit.database import Database
from svckit.errors import NotFound, ServiceError, Unavailable

_log = structlog.stdlib.get_logger(__name__)

# How many references are taken at the same time.
_AT_ONCE = 8

DURATION = timedelta(days=14)
"""How far ahead a reference expires."""

RENEW_BEFORE = timedelta(days=7)
"""What is left of a reference when it is renewed: the slicer may be away for that long."""


class HeldReferences:
    """The references of all packs, one an operation and model.

    Args:
        database: Where it is written down what is held.
        slicer: The slicer.
        clock: Tells the time.
    """

    INTERVAL_SECONDS = 5.0
    """The time between two looks at what is to be renewed or let go."""

    def __init__(self, database: Database, slicer: SlicerClient, clock: Clock) -> None:
        self._database = database
        self._slicer = slicer
        self._clock = clock

    async def take(
        self, pack: str, operation: str, fragments: Sequence[str], kept: Collection[str]
    ) -> None:
        """Takes the references of a pack that is being made, each written down beforehand.

        What the operation held before and the pack is not made of is let go of: fragments of an
        earlier attempt, or of a pack that was too slow.

        Args:
            pack: The name of the pack.
            operation: The name of the operation that makes it.
            fragments: The names of its fragments.
            kept: Those that the packer can do without: another pack keeps copies of them.

        Raises:
            NotFound: A fragment is gone that is not kept.
            Unavailable: SLICER_UNAVAILABLE.
        """
        by_model: dict[str, list[str]] = {}
        for fragment in filter(is_fragment, fragments):
            by_model.setdefault(model_of(fragment), []).append(fragment)
        rows = [
            HeldReferenceRow(
                name=_reference(operation, model, held),
                operation=operation,
                holder=pack,
                fragments=held,
            )
            for model, held in by_model.items()
        ]
        await self._note(rows)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(row: HeldReferenceRow) -> None:
            async with gate:
                try:
                    await self._slicer.take(*_terms(row))
                except NotFound:
                    await self._take_new(row, kept)

        await all_of(one(row) for row in rows)
        async with self._database.reading() as session:
            of_it = HeldReferenceRow.operation == operation
            names = set(await session.scalars(select(HeldReferenceRow.name).where(of_it)))
        for name in sorted(names - {_reference(operation, *one) for one in by_model.items()}):
            await self._let_go(name)

    async def _take_new(self, row: HeldReferenceRow, kept: Collection[str]) -> None:
        """Takes what is not kept by another pack, after the slicer did not find it all.

        Raises:
            NotFound: That is not found either.
        """
        new = [fragment for fragment in row.fragments if fragment not in kept]
        if new:
            row.fragments = new
            await self._note([row])
            await self._slicer.take(*_terms(row))
        else:
            # The model was deleted by force: the pack is made of copies.
            _log.warning("reference_skipped", reference=row.name)
            await self._forget(row.name)

    async def _note(self, rows: Sequence[HeldReferenceRow]) -> None:
        async with self._database.writing() as session:
            for row in rows:
                row.expire_time = self._clock.now() + DURATION
                await session.merge(row)

    async def settle(self) -> None:
        """Lets go of what no pack needs, and renews what expires soon.

        Raises:
            ServiceError: The slicer cannot be reached; the next look tries again.
        """
        async with self._database.reading() as session:
            needless = await _needless(session)
            soon = HeldReferenceRow.expire_time < self._clock.now() + RENEW_BEFORE
            expiring = (await session.scalars(select(HeldReferenceRow).where(soon))).all()
        for name in needless:
            with _one_at_a_time(name):
                await self._let_go(name)
        for row in expiring:
            if row.name not in needless:
                with _one_at_a_time(row.name):
                    await self._renew(row)

    async def _renew(self, row: HeldReferenceRow) -> None:
        try:
            await self._note([row])
            await self._slicer.hold(*_terms(row))
        except NotFound:
            # The model was deleted by force: the pack lives on with its own copies.
            _log.warning("reference_lost", reference=row.name)
            await self._forget(row.name)

    async def _let_go(self, name: str) -> None:
        await self._slicer.release(name)
        await self._forget(name)

    async def _forget(self, name: str) -> None:
        async with self._database.writing() as session:
            await session.execute(delete(HeldReferenceRow).where(HeldReferenceRow.name == name))


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """Keeps what the slicer refuses for one reference from the others; it is tried again later."""
    try:
        yield
    except Unavailable:
        raise
    except ServiceError as error:
        _log.warning("reference_not_settled", reference=name, reason=error.reason_name)


async def _needless(session: AsyncSession) -> Collection[str]:
    """Returns the references whose operation has ended and left no pack, or one deleted since."""
    kept = select(PackRow.operation)
    rows = (
        await session.scalars(
            select(HeldReferenceRow).where(HeldReferenceRow.operation.not_in(kept))
        )
    ).all()
    ended = await operations.ended(session, {row.operation for row in rows})
    return [row.name for row in rows if row.operation in ended]


def _terms(row: HeldReferenceRow) -> tuple[str, str, Sequence[str], datetime]:
    """Name, holder, fragments and end, as the slicer's client takes them."""
    return row.name, row.holder, row.fragments, row.expire_time


def _reference(operation: str, model: str, fragments: Sequence[str]) -> str:
    """The name of an operation's reference on fragments of a model: a reference never changes."""
    text = "\n".join((operation, model, *sorted(fragments)))
    return f"{model}/references/pack-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
