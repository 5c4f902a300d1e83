"""All deployments of one replica, each with a keeper of its own."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import structlog

from serving.reconciler.desired import Desired, Outcome
from serving.reconciler.keeper import Keeper, Rhythm, Standing, Undesired
from serving.reconciler.site import Site

_log = structlog.stdlib.get_logger(__name__)


class Fleet:
    """Starts a keeper for each deployment; one that fails takes no other down.

    Args:
        site: The Triton.
        rhythm: When keepers do what.
        on_outcome: Told what became of each desired deployment.
    """

    def __init__(self, site: Site, rhythm: Rhythm, on_outcome: Callable[[Outcome], None]) -> None:
        self._site = site
        self._rhythm = rhythm
        self._on_outcome = on_outcome
        self._keepers: dict[str, Keeper] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._told = False
        self._warm = False

    @property
    def warm(self) -> bool:
        """Whether, since Triton's last start, each desired deployment had a result.

        Stays true while deployments are added and switched: what serves goes on to serve.
        """
        if not self._warm and self._told:
            self._warm = all(keeper.settled for keeper in self._keepers.values())
        return self._warm

    @property
    def standings(self) -> Mapping[Standing, int]:
        """How many deployments stand how; none is left out."""
        counted = Counter(keeper.standing for keeper in self._keepers.values())
        return {standing: counted[standing] for standing in Standing}

    async def run(self) -> None:
        """Keeps alive what the repository has, then what `apply` says; runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for name in self._site.repository.names():
                self._keeper(name)
            await asyncio.Event().wait()

    def apply(self, desired: Iterable[Desired], *, unclear: Iterable[str] = ()) -> None:
        """Sets all that is desired; whatever is not in it will be unloaded.

        Args:
            desired: The deployments.
            unclear: Names of deployments that are desired in a way that could not be understood:
                what they serve, they go on to serve.
        """
        wanted = {each.name: each for each in desired}
        for name, each in wanted.items():
            self._keeper(name).want(each)
        for name in set(self._keepers) - set(wanted) - set(unclear):
            self._keepers[name].want(Undesired.GONE)
        self._told = True

    def triton_restarted(self) -> None:
        """Makes every keeper look at once; the replica is warm when all have."""
        self._warm = False
        for keeper in self._keepers.values():
            keeper.triton_restarted()

    def _keeper(self, name: str) -> Keeper:
        keeper = self._keepers.get(name)
        if keeper is None:
            assert self._tasks is not None, "apply comes after run has begun"
            keeper = self._keepers[name] = Keeper(name, self._site, self._rhythm, self._on_outcome)
            self._tasks.create_task(self._run(keeper))
        return keeper

    async def _run(self, keeper: Keeper) -> None:
        await keeper.run()
        del self._keepers[keeper.name]
        _log.info("deployment_gone", model=keeper.name)
