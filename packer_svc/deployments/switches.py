"""How a deployment gets its first pack or another one, and how that is taken back.

A switch is written down before any replica hears of it: the candidate and its version. Replicas
load the candidate beside what serves. When every connected one serves it, the pointer moves; when
one cannot, the candidate is dropped and what served before is desired again.

The row says which operation switches it. An attempt after a crash goes on with its own switch; one
whose operation ended without an attempt, cancelled while no process ran it, is taken back by
`Switches.settle`. A switch that is interrupted because the process stops is left as it is.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from google.rpc import status_pb2
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.convert.deployments import changed_signature, encode_deployment
from packer_svc.deployments.board import DESIRED, Board, reports_on
from packer_svc.deployments.gate import Gate
from packer_svc.store import canaries, deployments, operations, packs
from packer_svc.store.failures import (
    no_replica,
    signature_changed,
    switch_in_progress,
    taken_back,
    too_slow,
)
from packer_svc.store.tables import DeploymentRow, PackRow, ReplicaRow
from svckit.clock import Clock
from svckit.database import Database
from svckit.errors import ServiceError, Unavailable
from svckit.operations.job import JobContext
from svckit.status import from_status

# How often a switch looks although nobody gave notice, in seconds.
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Patience:
    """How long a switch may take, in seconds.

    Attributes:
        replicas: For how long there may be no connected replica.
        ready: Until when every connected replica serves the pack.
    """

    replicas: float = 8.0
    ready: float = 120.0


@dataclass(frozen=True)
class Rules:
    """What holds for every switch.

    Attributes:
        patience: How long it may take.
        gate: Which packs may be served.
    """

    patience: Patience = field(default_factory=Patience)
    gate: Gate = field(default_factory=Gate)


@dataclass(frozen=True)
class Wish:
    """What is to be served.

    Attributes:
        deployment_id: The deployment.
        pack_id: The pack.
        display_name: The name for people that the deployment has then; None for the one it has.
        allow_signature_change: Whether clients may notice.
    """

    deployment_id: str
    pack_id: str
    display_name: str | None = None
    allow_signature_change: bool = True


class Switches:
    """Runs switches.

    Args:
        database: Where deployments are.
        board: Who is connected, and word of changes.
        clock: Tells the time and waits.
        rules: What holds for every switch.
        stopping: Set once the process stops, and sends the replicas away.
    """

    INTERVAL_SECONDS = 2.0
    """The time between two looks for switches that nobody goes on with."""

    def __init__(
        self,
        database: Database,
        board: Board,
        clock: Clock,
        rules: Rules,
        stopping: asyncio.Event,
    ) -> None:
        self._stopping = stopping
        self._database = database
        self._board = board
        self._clock = clock
        self._patience = rules.patience
        self._gate = rules.gate

    async def begin(
        self, session: AsyncSession, row: DeploymentRow, wish: Wish, operation: str
    ) -> None:
        """Desires a pack, in the session of the caller's transaction.

        Args:
            session: A session that may write.
            row: The deployment.
            wish: What is to be served.
            operation: The operation that switches.

        Raises:
            NotFound: The pack is gone.
            Aborted: SWITCH_IN_PROGRESS.
            FailedPrecondition: PACK_NOT_ACCEPTABLE or SIGNATURE_CHANGED.
        """
        refuse_switching(row)
        pack = await packs.get(session, wish.pack_id, lock=True)
        self._gate.refuse(pack)
        if not wish.allow_signature_change:
            await refuse_changed_signature(session, row, pack)
        row.operation = operation
        row.candidate_pack_id = wish.pack_id
        row.candidate_version = await deployments.next_version(session, row.id)
        row.generation = await deployments.changed(session)
        deployments.touch(row, self._clock.now())

    async def conclude(self, context: JobContext, wish: Wish) -> pb.Deployment:
        """Waits until what was begun is served everywhere.

        Raises:
            ServiceError: It is not; what served before serves again.
        """
        operation = context.job.operation
        self._board.changes.notify(DESIRED)
        try:
            await self._until_served(context, wish.deployment_id)
        except ServiceError:
            await self._take_back(operation, wish.deployment_id)
            raise
        return await self._finish(operation, wish)

    async def settle(self) -> None:
        """Takes back the switches whose operation has ended without doing so."""
        switching = select(DeploymentRow).where(DeploymentRow.operation.is_not(None))
        async with self._database.reading() as session:
            under_way = {row.id: row.operation for row in await session.scalars(switching)}
            ended = await operations.ended(session, {*filter(None, under_way.values())})
        for deployment_id, operation in under_way.items():
            if operation in ended:
                await self._take_back(operation, deployment_id)

    async def _until_served(self, context: JobContext, deployment_id: str) -> None:
        """Waits until every connected replica serves the candidate.

        Raises:
            ServiceError: One cannot, none is there, it takes too long, or it was cancelled.
        """
        start = self._clock.now()
        seen = start
        last: ServiceError | None = None
        with self._board.changes.listen(reports_on(deployment_id)) as changed:
            while True:
                changed.clear()
                if context.cancelled.is_set():
                    raise taken_back(context.job.operation)
                waiting, last = await self._waiting(deployment_id, last)
                now = self._clock.now()
                if self._stopping.is_set():
                    # The next process goes on: who is sent away has not failed.
                    start = seen = now
                if waiting is not None:
                    seen = now
                    if not waiting:
                        return
                if now - seen > timedelta(seconds=self._patience.replicas):
                    raise no_replica(self._patience.replicas)
                if now - start > timedelta(seconds=self._patience.ready):
                    raise last or too_slow(self._patience.ready)
                await self._pause(changed, context.cancelled)

    async def _pause(self, changed: asyncio.Event, cancelled: asyncio.Event) -> None:
        """Waits for word of a report or of the end, but not for long."""
        waits = [asyncio.create_task(event.wait()) for event in (changed, cancelled)]
        try:
            await asyncio.wait(waits, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _waiting(
        self, deployment_id: str, last: ServiceError | None
    ) -> tuple[frozenset[str] | None, ServiceError | None]:
        """The connected replicas without word of the candidate, None without any replica.

        Raises:
            ServiceError: A replica says that it cannot serve it, for a reason that does not pass.
        """
        connected = self._board.connected
        async with self._database.reading() as session:
            row = await deployments.get(session, deployment_id)
        said = {one.replica: one for one in row.replicas if one.generation == row.generation}
        waiting = set(connected)
        for replica in connected & set(said):
            error = _error_of(said[replica])
            if error is None and said[replica].version == row.candidate_version:
                waiting.discard(replica)
            elif isinstance(error, Unavailable):
                # It may pass; it is what to tell if it does not pass in time.
                last = error
            elif error is not None:
                raise error
        return (frozenset(waiting) if connected else None), last

    async def _take_back(self, operation: str, deployment_id: str) -> None:
        async with self._database.writing() as session:
            row = await session.get(DeploymentRow, deployment_id, with_for_update=True)
            if row is None or row.operation != operation:
                return
            if row.pack_id is None:
                if row.canary_of is not None:
                    beside = await deployments.get(session, row.canary_of, lock=True)
                    deployments.touch(beside, self._clock.now())
                await session.delete(row)
                await deployments.changed(session)
            else:
                _drop_candidate(row)
                for said in row.replicas:
                    if said.version == row.version:
                        # What it said against the candidate is none of what serves.
                        said.error, said.parity = b"", []
                row.generation = await deployments.changed(session)
                row.state = deployments.state_of(row, self._board.connected)
                deployments.touch(row, self._clock.now())
        self._board.changes.notify(DESIRED)

    async def _finish(self, operation: str, wish: Wish) -> pb.Deployment:
        async with self._database.writing() as session:
            row = await deployments.get(session, wish.deployment_id, lock=True)
            if row.operation != operation:
                # The operation was ended meanwhile, and what it began was taken back.
                raise taken_back(operation)
            promoted = await canaries.beside(session, row.id, lock=True)
            if promoted is not None:
                # Beside a canary, the only switch is the one to its pack.
                await session.delete(promoted)
            row.previous_pack_id, row.previous_version = row.pack_id, row.version
            row.pack_id, row.version = row.candidate_pack_id, row.candidate_version
            _drop_candidate(row)
            if wish.display_name is not None:
                row.display_name = wish.display_name
            row.state = deployments.state_of(row, self._board.connected)
            deployments.touch(row, self._clock.now())
            await deployments.changed(session)
            answer = encode_deployment(row, self._board.connected)
        self._board.changes.notify(DESIRED)
        return answer


def refuse_switching(row: DeploymentRow) -> None:
    """Refuses to change a deployment that is being switched.

    Raises:
        Aborted: SWITCH_IN_PROGRESS.
    """
    if row.operation is not None:
        raise switch_in_progress(row.name, row.operation)


async def refuse_changed_signature(
    session: AsyncSession, row: DeploymentRow, pack: PackRow
) -> None:
    """Refuses a pack whose inputs or labels are not those of the pack that serves.

    Raises:
        FailedPrecondition: SIGNATURE_CHANGED.
    """
    if row.pack_id is not None:
        changed = changed_signature(await packs.get(session, row.pack_id), pack)
        if changed:
            raise signature_changed(row.name, changed)


def _drop_candidate(row: DeploymentRow) -> None:
    row.candidate_pack_id, row.candidate_version, row.operation = None, 0, None


def _error_of(said: ReplicaRow) -> ServiceError | None:
    if not said.error:
        return None
    return from_status(status_pb2.Status.FromString(said.error))
