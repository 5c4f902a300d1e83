"""Counts what clients ask of a model, without what the reconciler asks itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from serving.client import TritonClient
from serving.reconciler.smoke import SmokeTest
from serving.traffic import Traffic


class Meter:
    """Counts from its first look on.

    Triton counts every request alike, also those by which the reconciler sees that a model answers.
    Where clients ask little these would be the most, and as they have one sample each, they make a
    model look quicker than it is to clients that send many. So they are taken off again: their
    number is known, and what one of them takes is what Triton counts while nobody else asks.

    Args:
        triton: The Triton, by the client that the reconciler itself asks with.
        name: The model.

    Attributes:
        name: The model.
    """

    def __init__(self, triton: TritonClient, name: str) -> None:
        self.name = name
        self._triton = triton
        self._seen: Mapping[int, Traffic] | None = None
        self._own = Traffic()
        self._cost = Traffic(requests=1)
        self._total = Traffic()

    @property
    def total(self) -> Traffic:
        """What clients have asked since the first look."""
        return self._total.counted

    async def look(self, probe: SmokeTest) -> None:
        """Counts what has come since the last look.

        Args:
            probe: A sample to ask the model.

        Raises:
            ServingError: Triton does not answer, or does not serve the model.
        """
        before = await self._triton.statistics(self.name)
        await self._triton.infer(self.name, probe.inputs)
        after = await self._triton.statistics(self.name)
        own = self._triton.asked(self.name)
        alone = _gained(before, after)
        if (alone.requests, alone.errors) == (1, 0):
            self._cost = alone
        if self._seen is not None:
            more = _gained(self._seen, after) - self._weighed(own - self._own)
            # Where clients asked nothing, what is left of the times is noise.
            total = self._total + (
                more if more.requests > 0 else Traffic(more.requests, more.errors)
            )
            # Of a model that was loaded anew, Triton forgets what the reconciler asked before; that
            # must not be taken off what clients ask later. One request may be under way.
            self._total = replace(
                total, requests=max(total.requests, -1), errors=max(total.errors, 0)
            )
        self._seen, self._own = after, own

    def _weighed(self, own: Traffic) -> Traffic:
        """What the reconciler's own requests come to."""
        one, count = self._cost, own.requests
        return Traffic(
            count,
            own.errors,
            count * one.seconds,
            count * one.queue_seconds,
            count * one.compute_seconds,
        )


def _gained(before: Mapping[int, Traffic], after: Mapping[int, Traffic]) -> Traffic:
    """What came between; of a version that was loaded anew meanwhile, since then."""
    total = Traffic()
    for version, now in after.items():
        then = before.get(version, Traffic())
        total += now if _is_less(now, then) else now - then
    return total


def _is_less(now: Traffic, then: Traffic) -> bool:
    """Whether Triton has begun to count anew."""
    return now.requests + now.errors < then.requests + then.errors
