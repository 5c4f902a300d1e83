"""The specifications of all models in memory, as the store has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final, TypeVar

import structlog

from slicer_svc.store import specifications
from slicer_svc.store.specifications import Specified, State
from specification.codec import from_bytes
from specification.errors import SpecificationError
from specification.index import Index
from specification.model import VERSION, Specification
from specification.results import ClassesFound, ModelsFound
from svckit.artifacts.store import ArtifactStore
from svckit.artifacts.threads import in_thread
from svckit.database import Database
from svckit.errors import DataLoss, NotFound

_log = structlog.stdlib.get_logger(__name__)

# Read from the disk before the index takes them: searches may come in between.
_AT_ONCE: Final = 32

T = TypeVar("T")


class Catalogue:
    """What searches look into.

    Every search sees the models that were there when it began: a look at the table tells whether
    one came or went, in this process or in another one, and only what changed is read.

    Args:
        database: Where it is written down which model has which specification.
        artifacts: Where specifications are stored.
        on_loss: Told that some were lost and are to be made anew.
    """

    INTERVAL_SECONDS = 60.0
    """The time between two looks at the table while nobody searches."""

    def __init__(
        self, database: Database, artifacts: ArtifactStore, on_loss: Callable[[], None]
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._on_loss = on_loss
        self._index = Index()
        self._known: dict[str, int] = {}
        self._seen: State = 0, 0
        self._refreshing = asyncio.Lock()
        self._using = asyncio.Lock()

    async def models(
        self, task: Specification, limit: int, among: Collection[str] | None
    ) -> ModelsFound:
        """Finds models for a task.

        Args:
            task: What is looked for.
            limit: How many at most.
            among: The models that are compared; None for all.
        """
        await self.refresh()
        return await self._with_index(lambda index: index.models(task, limit, among))

    async def classes(
        self, task: Specification, limit: int, among: Collection[str] | None
    ) -> ClassesFound:
        """Finds classes of models for the classes of a task.

        Args:
            task: What is looked for.
            limit: How many for each class at most.
            among: The models that are compared; None for all.
        """
        await self.refresh()
        return await self._with_index(lambda index: index.classes(task, limit, among))

    async def refresh(self) -> None:
        """Reads what has come since the last look, and forgets what has gone."""
        async with self._refreshing:
            async with self._database.reading() as session:
                state = await specifications.state(session)
                if state == self._seen:
                    return
                grew = await specifications.only_grew(session, self._seen, state)
                after = self._seen[1] if grew else 0
                there = await specifications.specified(session, VERSION, after=after)
            if not grew:
                await self._forget({one.model for one in there})
            new = [one for one in there if self._known.get(one.model) != one.serial]
            damaged: list[int] = []
            for start in range(0, len(new), _AT_ONCE):
                damaged += await self._take(new[start : start + _AT_ONCE])
            await self._with_index(Index.settle)
            self._seen = state
            if damaged:
                async with self._database.writing() as session:
                    await specifications.forget(session, damaged)
                self._on_loss()

    async def _forget(self, there: Collection[str]) -> None:
        gone = [model for model in self._known if model not in there]

        def remove(index: Index) -> None:
            for model in gone:
                index.remove(model)

        await self._with_index(remove)
        # Last: whoever is cancelled before leaves the rest to the next one.
        for model in gone:
            del self._known[model]

    async def _take(self, new: Sequence[Specified]) -> list[int]:
        """Reads some specifications; returns the numbers of those that cannot be read."""
        paths = await asyncio.gather(*(self._path(one) for one in new))
        # In one go: handing each to a thread takes as long as reading it.
        read = await in_thread(lambda: [_read(*one) for one in zip(new, paths, strict=True)])
        found = [(one, each) for one, each in zip(new, read, strict=True) if each is not None]

        def add(index: Index) -> None:
            for one, specification in found:
                index.add(one.model, specification)

        await self._with_index(add)
        self._known.update((one.model, one.serial) for one, _ in found)
        return [one.serial for one, each in zip(new, read, strict=True) if each is None]

    async def _path(self, one: Specified) -> Path | None:
        try:
            return await self._artifacts.path(one.digest)
        except (NotFound, DataLoss) as error:
            _tell_unreadable(one, error)
            return None

    async def _with_index(self, work: Callable[[Index], T]) -> T:
        """Works with the index in a thread, alone: it is not made for two at a time."""
        async with self._using:
            return await in_thread(work, self._index)


def _read(one: Specified, path: Path | None) -> Specification | None:
    try:
        return None if path is None else from_bytes(path.read_bytes())
    except (SpecificationError, FileNotFoundError) as error:
        _tell_unreadable(one, error)
        return None


def _tell_unreadable(one: Specified, error: Exception) -> None:
    _log.warning("specification_unreadable", model=one.model, problem=str(error))
