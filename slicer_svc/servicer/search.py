"""The gRPC service `sliceandpack.slicer.v1.Search`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import grpc
from sliceandpack.slicer.v1 import search_pb2 as pb
from sliceandpack.slicer.v1 import search_pb2_grpc

from slicer_svc.convert.search import (
    Described,
    encode_classes,
    encode_models,
    task_violations,
)
from slicer_svc.search.catalogue import Catalogue
from slicer_svc.search.tasks import Tasks
from slicer_svc.store import specifications
from specification.model import Specification
from svckit.database import Database
from svckit.errors import FieldViolation
from svckit.filters import invalid_filter, parse_filter
from svckit.validation import refuse

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_MODELS = 10
DEFAULT_CLASSES = 5
MAX_FOUND = 100
"""How many are found at most; larger wishes are cut to it."""
MAX_TOLD = 5_000
"""How many classes an answer tells of in all, but for one of each class of the task: it has to fit
into a message."""


class SearchServicer(search_pb2_grpc.SearchServicer):
    """Finds models and classes for tasks.

    Args:
        database: Has the models.
        catalogue: Has their specifications.
        tasks: Reads what clients look for.
    """

    def __init__(self, database: Database, catalogue: Catalogue, tasks: Tasks) -> None:
        self._database = database
        self._catalogue = catalogue
        self._tasks = tasks

    async def SearchModels(
        self, request: pb.SearchModelsRequest, context: Context
    ) -> pb.SearchModelsResponse:
        """Finds models for a task."""
        refuse(_violations(request.task, request.limit))
        among = await self._among(request.filter)
        task = await self._tasks.specification(request.task)
        limit = _limit(request.limit or DEFAULT_MODELS, task)
        found = await self._catalogue.models(task, limit, among)
        return encode_models(found, await self._described({one.model for one in found.matches}))

    async def SearchClasses(
        self, request: pb.SearchClassesRequest, context: Context
    ) -> pb.SearchClassesResponse:
        """Finds classes of models for the classes of a task."""
        refuse(_violations(request.task, request.limit))
        among = await self._among(request.filter)
        task = await self._tasks.specification(request.task)
        limit = _limit(request.limit or DEFAULT_CLASSES, task)
        found = await self._catalogue.classes(task, limit, among)
        names = {match.model for one in found.classes for match in one.matches}
        return encode_classes(found, await self._described(names))

    async def _among(self, text: str) -> Collection[str] | None:
        """Returns the models that a filter lets through, None for all.

        Raises:
            InvalidArgument: FILTER_INVALID.
        """
        terms = parse_filter(text)
        for term in terms:
            if term.field != "licence":
                raise invalid_filter(
                    text, f"The filter names {term.field!r}.", "Filter by licence."
                )
        if not terms:
            return None
        async with self._database.reading() as session:
            found = [await specifications.licensed(session, term.value) for term in terms]
        return frozenset.intersection(*found)

    async def _described(self, names: Collection[str]) -> Described:
        async with self._database.reading() as session:
            return await specifications.described(session, names)


def _violations(task: pb.Task, limit: int) -> Iterator[FieldViolation]:
    yield from task_violations(task)
    if limit < 0:
        yield FieldViolation("limit", "it is not negative")


def _limit(wanted: int, task: Specification) -> int:
    return min(wanted, MAX_FOUND, max(1, MAX_TOLD // max(1, len(task.labels))))
