"""How a deployment gets its first pack or another one, and how that is taken back.

A switch is written down before any replica hears of it: the candidate and its version. Replicas
load the candidate beside what serves. When every connected one serves it, the pointer moves; when
one cannot, the candidate is dropped and what served before is desired again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from google.rpc import status_pb2
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncSession

from packer_svc.convert.deployments import changed_signature, encode_deployment
from packer_svc.deployments.board import DESIRED, Board, reports_on
from packer_svc.store import deployments, packs
from packer_svc.store.deployments import ServingState
from packer_svc.store.failures import (
    no_replica,
    signature_changed,
    switch_in_progress,
    taken_back,
    too_slow,
)
from packer_svc.store.tables import DeploymentRow, ReplicaRow
from svckit.clock import Clock, wait_until_set
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
class Wish:
    """What is to be served.

    Attributes:
        deployment_id: The deployment.
        pack_id: The pack.
        allow_signature_change: Whether clients may notice.
    """

    deployment_id: str
    pack_id: str
    allow_signature_change: bool = True


class Switches:
    """Runs switches.

    Args:
        database: Where deployments are.
        board: Who is connected, and word of changes.
        clock: Tells the time and waits.
        patience: How long a switch may take.
    """

    def __init__(self, database: Database, board: Board, clock: Clock, patience: Patience) -> None:
        self._database = database
        self._board = board
        self._clock = clock
        self._patience = patience

    async def run(self, context: JobContext, wish: Wish) -> pb.Deployment:
        """Serves a pack under a deployment's name; goes on where an attempt before a crash was.

        Raises:
            ServiceError: The pack does not serve everywhere; what served before serves again.
        """
        operation = context.job.operation
        done = await self._done_before(context, wish)
        if done is not None:
            return done
        version = await self._begin(operation, wish)
        await context.save({"version": version})
        try:
            await self._until_served(context, wish.deployment_id)
        except ServiceError:
            await self._take_back(operation, wish.deployment_id)
            await context.save({})
            raise
        return await self._finish(wish.deployment_id)

    async def _done_before(self, context: JobContext, wish: Wish) -> pb.Deployment | None:
        """The deployment, if an attempt before a crash has moved the pointer already."""
        version = context.state.get("version")
        async with self._database.reading() as session:
            row = await session.get(DeploymentRow, wish.deployment_id)
            if row is None or version is None or row.version != version:
                return None
            return encode_deployment(row, self._board.connected)

    async def _begin(self, operation: str, wish: Wish) -> int:
        async with self._database.writing() as session:
            row = await session.get(DeploymentRow, wish.deployment_id, with_for_update=True)
            assert row is not None, "whoever asks has made the row, or checked it"
            if row.operation is None:
                await self._desire(session, row, wish)
                row.operation = operation
            elif row.operation != operation:
                raise switch_in_progress(row.name, row.operation)
            version = row.candidate_version
        self._board.changes.notify(DESIRED)
        return version

    async def _desire(self, session: AsyncSession, row: DeploymentRow, wish: Wish) -> None:
        pack = await packs.get(session, wish.pack_id, lock=True)
        if row.pack_id is not None and not wish.allow_signature_change:
            changed = changed_signature(await packs.get(session, row.pack_id), pack)
            if changed:
                raise signature_changed(row.name, changed)
        row.last_version += 1
        row.candidate_pack_id, row.candidate_version = wish.pack_id, row.last_version
        row.generation += 1
        deployments.touch(row, self._clock.now())
        await deployments.changed(session)

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
        waits = [
            asyncio.ensure_future(wait_until_set(event, self._clock, _POLL_SECONDS))
            for event in (changed, cancelled)
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
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
            row = await deployments.get(session, deployment_id, lock=True)
            if row.operation != operation:
                return
            if row.pack_id is None:
                await session.delete(row)
            else:
                _drop_candidate(row)
                row.generation += 1
                row.state = deployments.state_of(row, self._board.connected)
                deployments.touch(row, self._clock.now())
            await deployments.changed(session)
        self._board.changes.notify(DESIRED)

    async def _finish(self, deployment_id: str) -> pb.Deployment:
        async with self._database.writing() as session:
            row = await deployments.get(session, deployment_id, lock=True)
            row.previous_pack_id, row.previous_version = row.pack_id, row.version
            row.pack_id, row.version = row.candidate_pack_id, row.candidate_version
            _drop_candidate(row)
            row.state = ServingState.SERVING
            deployments.touch(row, self._clock.now())
            await deployments.changed(session)
            answer = encode_deployment(row, self._board.connected)
        self._board.changes.notify(DESIRED)
        return answer


def _drop_candidate(row: DeploymentRow) -> None:
    row.candidate_pack_id, row.candidate_version, row.operation = None, 0, None


def _error_of(said: ReplicaRow) -> ServiceError | None:
    if not said.error:
        return None
    return from_status(status_pb2.Status.FromString(said.error))
