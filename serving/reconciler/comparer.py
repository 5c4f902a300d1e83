"""Looks again and again how each canary does, and says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from serving.errors import ServingError
from serving.reconciler.comparison import (
    Agreement,
    Comparison,
    agreement,
    comparable,
    smoke_test_path,
)
from serving.reconciler.desired import Desired
from serving.reconciler.meter import Meter
from serving.reconciler.site import Site

_log = structlog.stdlib.get_logger(__name__)

OnComparison = Callable[[str, int, Comparison], None]
"""Told the canary's name, its generation, and how it does."""


class Comparer:
    """Compares each canary with its deployment.

    Args:
        site: The Triton.
        seconds: The time between two looks.
        on_comparison: Told how a canary does, each time that this changed.
    """

    def __init__(self, site: Site, seconds: float, on_comparison: OnComparison) -> None:
        self._site = site
        self._seconds = seconds
        self._on_comparison = on_comparison
        self._pairs: dict[str, _Pair] = {}

    def apply(self, desired: Iterable[Desired]) -> None:
        """Sets all that is desired; what is no canary is left aside."""
        before = self._pairs
        self._pairs = {}
        for each in desired:
            if each.canary_of is not None:
                pair = before.get(each.name)
                if pair is None or pair.canary.generation != each.generation:
                    pair = _Pair(self._site, each, each.canary_of)
                self._pairs[each.name] = pair

    async def run(self) -> None:
        """Looks and tells; runs until cancelled."""
        while True:
            for name, pair in list(self._pairs.items()):
                try:
                    found = await pair.look()
                except ServingError as error:
                    # It is being loaded, or unloaded, or Triton is away: nothing to compare now.
                    _log.debug("canary_not_compared", model=name, error=error.message)
                    continue
                except Exception:
                    # Whatever is wrong with a comparison must not end the reconciler.
                    _log.exception("comparison_failed", model=name)
                    continue
                if found != pair.told:
                    pair.told = found
                    self._on_comparison(name, pair.canary.generation, found)
            await asyncio.sleep(self._seconds)


class _Pair:
    """A canary and its deployment."""

    def __init__(self, site: Site, canary: Desired, deployment: str) -> None:
        self.canary = canary
        self.told: Comparison | None = None
        self._site = site
        self._meters = Meter(site.triton, deployment), Meter(site.triton, canary.name)
        self._start: float | None = None
        self._agreement: Agreement | None = None

    async def look(self) -> Comparison:
        """Returns how the canary does.

        Raises:
            ServingError: One of both is not there, or does not answer.
        """
        deployment, canary = self._meters
        for meter in self._meters:
            path = smoke_test_path(self._site, meter.name)
            await meter.look(await asyncio.to_thread(self._site.probes.read, path))
        names = deployment.name, canary.name
        if self._agreement is None and comparable(self._site, *names):
            self._agreement = await agreement(self._site, *names)
        if self._start is None:
            self._start = time.time()
        return Comparison(self._start, deployment.total, canary.total, self._agreement)
