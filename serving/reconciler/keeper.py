"""Looks after one deployment on this replica, for as long as it is desired."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from serving.errors import (
    PackDamagedError,
    ServingError,
    UnexpectedServingError,
)
from serving.pace import Backoff
from serving.reconciler.alive import keep_alive
from serving.reconciler.desired import Desired, Outcome
from serving.reconciler.site import Site, retire, serving_version
from serving.reconciler.smoke import OtherAnswersError
from serving.reconciler.switch import switch

_log = structlog.stdlib.get_logger(__name__)


class Undesired(enum.Enum):
    """What a keeper is to do without a desired pack."""

    KEEP = "keep"
    """Nobody has said yet what is desired: keep alive what the repository has."""
    GONE = "gone"
    """It is desired no longer: stop serving it."""


class Standing(enum.Enum):
    """How a deployment stands on this replica."""

    READY = "ready"
    """The desired pack serves, as far as was last seen."""
    PENDING = "pending"
    """There is no result yet: it is being loaded, or a failure may pass soon."""
    FAILED = "failed"
    """The desired pack does not serve, and the packer was told why."""


@dataclass(frozen=True)
class Rhythm:
    """When a keeper does what.

    Attributes:
        probe_seconds: Time between two real requests to a model that serves.
        grace_seconds: How long a transient error is kept to itself: Triton's own restart takes
            less, and is nobody's business.
        backoff: Waits after failures.
        switches: How many switches may be under way at the same time; the others wait.
        probes: How many probes may; not the same, since a switch can wait long for its bytes, and
            what serves must be healed meanwhile.
    """

    probe_seconds: float
    grace_seconds: float
    backoff: Backoff
    switches: asyncio.Semaphore
    probes: asyncio.Semaphore


class Keeper:
    """Makes one deployment what it should be, again and again.

    A switch is tried until it has a verdict: it succeeded, or failed for a reason that time does
    not mend. From then on the keeper keeps alive what serves, until something else is desired.

    Args:
        name: The model's name in Triton.
        site: The Triton.
        rhythm: When to do what.
        on_outcome: Told what became of the desired pack, each time that this changed.
    """

    def __init__(
        self, name: str, site: Site, rhythm: Rhythm, on_outcome: Callable[[Outcome], None]
    ) -> None:
        self.name = name
        self._site = site
        self._rhythm = rhythm
        self._on_outcome = on_outcome
        self._wanted: Desired | Undesired = Undesired.KEEP
        self._verdict: Outcome | None = None
        self._published: Outcome | None = None
        self._failures = 0
        self._failing_since = 0.0
        self._settled = False
        self._starts = 0
        self._wake = asyncio.Event()

    @property
    def settled(self) -> bool:
        """Whether it has a result since Triton's last start: it serves, or failed for a reason."""
        return self._settled

    @property
    def standing(self) -> Standing:
        """How it stands: what was last published, unless a failure came since."""
        published = self._published
        if published is not None and not published.ready:
            return Standing.FAILED
        serves = published is not None and self._failures == 0
        return Standing.READY if serves else Standing.PENDING

    def want(self, wanted: Desired | Undesired) -> None:
        """Sets what is desired; takes effect at once, or after the step under way.

        Args:
            wanted: The pack, or why there is none.
        """
        if wanted != self._wanted:
            if self._wanted is Undesired.KEEP:
                # What was kept alive so far need not be what is desired.
                self._settled = False
            self._wanted = wanted
            self._verdict = self._published = None
            self._failures = 0
            self._wake.set()

    def triton_restarted(self) -> None:
        """Makes the keeper look at once: Triton has forgotten everything."""
        self._starts += 1
        self._settled = False
        self._failures = 0
        self._wake.set()

    async def run(self) -> None:
        """Looks after the deployment until it is gone, or until cancelled."""
        while True:
            self._wake.clear()
            pause = await self._look()
            if pause is None:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _look(self) -> float | None:
        """Does the next step; returns how long to wait, in seconds, or None at the end."""
        wanted, starts = self._wanted, self._starts
        try:
            async with self._turn(wanted):
                verdict = await self._step(wanted)
        except ServingError as error:
            return await self._trouble(wanted, error)
        except Exception as error:
            # A bug here must not end the care for this deployment, and less so for the others.
            _log.exception("keeper_failed", model=self.name)
            return await self._trouble(wanted, _unexpected(error))
        if self._wanted is not wanted or self._starts != starts:
            return 0.0  # The result is about what was; the wake-up for what is has come.
        if wanted is Undesired.GONE:
            return None
        self._failures = 0
        self._settled = True
        self._verdict = verdict
        if verdict is not None:
            self._publish(verdict)
        return self._rhythm.probe_seconds

    def _turn(self, wanted: Desired | Undesired) -> asyncio.Semaphore:
        """What a step towards what is wanted has to wait for."""
        switches = isinstance(wanted, Desired) and self._verdict is None
        return self._rhythm.switches if switches else self._rhythm.probes

    async def _step(self, wanted: Desired | Undesired) -> Outcome | None:
        """One step towards what is wanted; returns the verdict on it, None where it needs none."""
        if wanted is Undesired.GONE:
            await retire(self._site, self.name)
        elif wanted is Undesired.KEEP:
            await keep_alive(self._site, self.name)
        elif self._verdict is None:
            return await self._switch(wanted)
        else:
            try:
                await keep_alive(self._site, self.name, wanted)
            except PackDamagedError:
                # What is lost here can be had again as long as it is desired.
                return await self._switch(wanted)
        return self._verdict

    async def _switch(self, wanted: Desired) -> Outcome:
        parity = await switch(self._site, wanted)
        return Outcome(self.name, wanted.generation, wanted.version, parity=parity)

    async def _trouble(self, wanted: Desired | Undesired, error: ServingError) -> float:
        """Takes note of a failed step; returns how long to wait, in seconds."""
        now = asyncio.get_running_loop().time()
        if self._failures == 0:
            self._failing_since = now
        self._failures += 1
        _log.warning(
            "deployment_in_trouble", model=self.name, reason=error.reason, message=error.message
        )
        if error.transient and now - self._failing_since < self._rhythm.grace_seconds:
            return self._rhythm.backoff.after(self._failures)
        version = await serving_version(self._site, self.name)
        if self._wanted is not wanted:
            return 0.0
        self._settled = True
        if isinstance(wanted, Desired):
            parity = error.parity if isinstance(error, OtherAnswersError) else ()
            outcome = Outcome(self.name, wanted.generation, version, error, parity)
            if self._verdict is None and not error.transient:
                self._verdict = outcome
            self._publish(outcome)
        return self._rhythm.backoff.after(self._failures)

    def _publish(self, outcome: Outcome) -> None:
        if self._published is None or self._published.key != outcome.key:
            self._published = outcome
            generation, version, reason = outcome.key
            _log.info(
                "deployment_outcome",
                model=self.name,
                generation=generation,
                version=version,
                reason=reason,
            )
            self._on_outcome(outcome)


def _unexpected(error: Exception) -> ServingError:
    return UnexpectedServingError(
        f"an unexpected fault of the reconciler: {type(error).__name__}",
        advice="Look into the reconciler's log, which has the traceback.",
    )
