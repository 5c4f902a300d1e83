"""Tells the packer what became of each deployment, at least once, the newest last."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import structlog
from sliceandpack.packer.v1 import deployments_pb2_grpc

from serving.pace import Backoff
from serving.reconciler.comparison import Comparison
from serving.reconciler.convert import report_from
from serving.reconciler.desired import Outcome

_log = structlog.stdlib.get_logger(__name__)
_CALL_SECONDS = 10.0
# The packer has understood and refuses: the deployment is gone, say.
_FINAL = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)


class Reporter:
    """Holds the newest outcome of each deployment until the packer has it.

    Args:
        packer: The packer's Deployments.
        replica: This replica's name.
        backoff: Waits after failed calls.
    """

    def __init__(
        self, packer: deployments_pb2_grpc.DeploymentsAsyncStub, replica: str, backoff: Backoff
    ) -> None:
        self._packer = packer
        self._replica = replica
        self._backoff = backoff
        self._newest: dict[str, Outcome] = {}
        self._waiting: dict[str, Outcome] = {}
        self._wake = asyncio.Event()

    def put(self, outcome: Outcome) -> None:
        """Takes an outcome to report; one that waits for the same deployment is dropped.

        Args:
            outcome: What became of a deployment.
        """
        before = self._newest.get(outcome.name)
        if outcome.comparison is None and before and before.generation == outcome.generation:
            outcome = replace(outcome, comparison=before.comparison)
        self._newest[outcome.name] = self._waiting[outcome.name] = outcome
        self._wake.set()

    def compared(self, name: str, generation: int, comparison: Comparison) -> None:
        """Takes how a canary does; told with what became of it, so not before that is known.

        Args:
            name: The canary.
            generation: What was desired when it was looked at.
            comparison: How it does.
        """
        newest = self._newest.get(name)
        if newest is not None and newest.generation == generation:
            self.put(replace(newest, comparison=comparison))

    def keep_only(self, names: set[str]) -> None:
        """Forgets deployments that are desired no longer.

        Args:
            names: Those that are.
        """
        for outcomes in (self._newest, self._waiting):
            for name in set(outcomes) - names:
                del outcomes[name]

    def repeat(self) -> None:
        """Reports all outcomes anew."""
        self._waiting = dict(self._newest)
        self._wake.set()

    async def run(self) -> None:
        """Sends what waits; runs until cancelled."""
        failures = 0
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                outcome = next(iter(self._waiting.values()))
                if await self._sent(outcome):
                    failures = 0
                    if self._waiting.get(outcome.name) is outcome:
                        del self._waiting[outcome.name]
                else:
                    failures += 1
                    self._put_last(outcome)
                    await asyncio.sleep(self._backoff.after(failures))

    def _put_last(self, outcome: Outcome) -> None:
        """Lets the others go first: the packer may refuse this one alone."""
        if self._waiting.get(outcome.name) is outcome:
            del self._waiting[outcome.name]
            self._waiting[outcome.name] = outcome

    async def _sent(self, outcome: Outcome) -> bool:
        try:
            await self._packer.ReportReady(
                report_from(outcome, self._replica), timeout=_CALL_SECONDS
            )
        except grpc.aio.AioRpcError as error:
            final = error.code() in _FINAL
            _log.warning("report_failed", model=outcome.name, code=error.code().name, dropped=final)
            return final
        return True
