"""A replica that serves nothing, and tells the packer what a test wants it to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import grpc
from google.rpc import status_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sliceandpack.packer.v1 import deployments_pb2_grpc

from svckit.errors import FailedPrecondition, ServiceError
from svckit.status import to_status

Verdict = Callable[[pb.DesiredDeployment], ServiceError | None]
"""What becomes of a desired pack: None if it serves."""


class Silent(Exception):  # noqa: N818 - It is no error.
    """Raised by a verdict that is not told."""


def serves(_: pb.DesiredDeployment) -> None:
    """The verdict of a replica that serves whatever it should."""


def silent(_: pb.DesiredDeployment) -> None:
    """The verdict of a replica that never says a word."""
    raise Silent


def fails_on(*packs: str) -> Verdict:
    """The verdict of a replica that cannot load some packs."""

    def verdict(desired: pb.DesiredDeployment) -> ServiceError | None:
        return cannot_load(desired.pack) if desired.pack in packs else None

    return verdict


def silent_on(*packs: str) -> Verdict:
    """The verdict of a replica that does not get done with some packs."""

    def verdict(desired: pb.DesiredDeployment) -> ServiceError | None:
        if desired.pack in packs:
            raise Silent
        return None

    return verdict


def cannot_load(pack: str) -> ServiceError:
    """What a replica says of a pack that it cannot load."""
    return FailedPrecondition(
        reasons.ERROR_REASON_DEPLOYMENT_FAILED,
        f"{pack} cannot be loaded.",
        advice="Look at the log.",
        metadata={"replica": "r"},
    )


class Replica:
    """Watches what is desired and reports on it; an async context manager.

    Args:
        channel: A channel to the packer.
        name: The replica's name.
        verdict: What becomes of each desired pack; may be exchanged at any time.

    Attributes:
        states: What was desired, in the order in which it came.
        ended: What the stream ended with; None while it lasts.
    """

    def __init__(
        self, channel: grpc.aio.Channel, name: str = "r", verdict: Verdict = serves
    ) -> None:
        self._stub: deployments_pb2_grpc.DeploymentsAsyncStub
        self._stub = deployments_pb2_grpc.DeploymentsStub(channel)
        self.name = name
        self.verdict = verdict
        self.states: list[pb.DesiredState] = []
        self.ended: grpc.aio.AioRpcError | None = None
        self._serving: dict[str, int] = {}
        self._judged: dict[str, int] = {}
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        await self.until(lambda: bool(self.states))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Waits until something is so, looking again after each state."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    def desired(self, name: str) -> pb.DesiredDeployment | None:
        """Returns what is desired under a name at last."""
        for one in self.states[-1].deployments:
            if one.name == f"deployments/{name}":
                return one
        return None

    async def until_desired(self, name: str, pack: str) -> pb.DesiredDeployment:
        """Waits until a pack is desired under a name."""
        await self.until(lambda: getattr(self.desired(name), "pack", None) == pack)
        found = self.desired(name)
        assert found is not None
        return found

    async def report(
        self,
        desired: pb.DesiredDeployment,
        *,
        version: int,
        error: status_pb2.Status | None = None,
        parity: Sequence[pb.LiveParity] = (),
        comparison: pb.CanaryComparison | None = None,
    ) -> None:
        """Reports on a desired deployment."""
        await self._stub.ReportReady(
            pb.ReportReadyRequest(
                replica=self.name,
                deployment=desired.name,
                generation=desired.generation,
                version=version,
                error=error,
                parity=parity,
                comparison=comparison,
            )
        )

    async def _run(self) -> None:
        try:
            watch = self._stub.WatchDesired(pb.WatchDesiredRequest(replica=self.name))
            async for state in watch:
                async with self._changed:
                    self.states.append(state)
                    self._changed.notify_all()
                for desired in state.deployments:
                    await self._judge(desired)
        except grpc.aio.AioRpcError as error:
            async with self._changed:
                self.ended = error
                self._changed.notify_all()

    async def _judge(self, desired: pb.DesiredDeployment) -> None:
        if self._judged.get(desired.name) == desired.generation:
            return
        try:
            error = self.verdict(desired)
        except Silent:
            return
        self._judged[desired.name] = desired.generation
        if error is None:
            self._serving[desired.name] = desired.version
        status = None if error is None else to_status(error)
        try:
            await self.report(desired, version=self._serving.get(desired.name, 0), error=status)
        except grpc.aio.AioRpcError as failure:
            # It was deleted meanwhile.
            if failure.code() is not grpc.StatusCode.NOT_FOUND:
                raise
