"""Has the slicer slice a pack's fragments anew, without the samples of a fold.

The slicer keeps none of it: no plan, no fragment, only bytes that its sweeper takes a day later. So
whatever becomes of this process, nothing has to be found and deleted. Its requests are named after
the operation here, so that an attempt after a crash gets what the one before has asked for.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent, Progress
from sliceandpack.slicer.v1 import fragments_pb2, models_pb2, models_pb2_grpc

from packer_svc.origins import model_of
from packer_svc.slicer_client import SlicerClient, all_of, reached
from packer_svc.store.failures import cancelled, unreachable_origin
from svckit.artifacts.digests import digest_from_name
from svckit.clients.operations import Operations, WaitPolicy
from svckit.errors import NotFound, ServiceError, Unavailable
from svckit.operations.job import JobContext

T = TypeVar("T")

# Slicing a large model takes hours; one that is away is given up within about ten seconds, and the
# next attempt goes on with what was asked for.
_WAIT = WaitPolicy(attempts=8, timeout_seconds=7 * 86_400.0)
_CALL_SECONDS = 8.0

# How many requests the slicer has at the same time: it queues what its workers cannot take.
_AT_ONCE = 4


@dataclass(frozen=True)
class Dealing:
    """The folds of a pack's samples.

    Attributes:
        folds: The numbers of those in which something is judged.
        count: How many there are.
        seed: Of the dealing.
    """

    folds: Sequence[int]
    count: int
    seed: int


@dataclass(frozen=True, eq=False)
class _Errand:
    """One request to the slicer: classes of one model by one plan, without one fold.

    Those that were cut together are so again, with all that they were cut with.

    Attributes:
        fold: The number of the fold.
        plan: The plan.
        joint: The labels that are cut together; empty where every class is cut by itself.
        places: The fragments' places in the pack by their labels in the model.
    """

    fold: int
    plan: str
    joint: tuple[str, ...]
    places: Mapping[str, Sequence[int]]


@dataclass(eq=False)
class _Folds:
    """All errands of one pack.

    Attributes:
        context: The operation.
        dealing: The folds.
        fragments: How many fragments the pack has.
        done: Labels that are finished, by errand.
        started: Operations of the slicer that are not over, some of them only just asked for.
    """

    context: JobContext
    dealing: Dealing
    fragments: int
    done: dict[_Errand, int] = field(default_factory=dict)
    started: set[asyncio.Task[str]] = field(default_factory=set)

    def request(self, errand: _Errand) -> models_pb2.SliceModelRequest:
        """Returns what the slicer is asked: the same at every attempt."""
        parts = (self.context.job.operation, errand.plan, str(errand.fold), *errand.joint)
        named = "\n".join(parts)
        return models_pb2.SliceModelRequest(
            name=errand.plan.partition("/plans/")[0],
            plan=errand.plan,
            labels=errand.joint or errand.places,
            joint=bool(errand.joint),
            request_id=f"fold-{hashlib.sha256(named.encode()).hexdigest()[:32]}",
            held_out=models_pb2.Fold(
                index=errand.fold, folds=self.dealing.count, seed=self.dealing.seed
            ),
        )

    def note(self, errand: _Errand, finished: int, label: str) -> None:
        """Says how far the whole is: fragments over all folds."""
        self.done[errand] = finished
        folds = self.dealing.folds
        self.context.note(
            Progress(
                phase="evaluation",
                class_label=label,
                layer=f"fold {folds.index(errand.fold) + 1} of {len(folds)}",
                done=sum(self.done.values()),
                total=len(folds) * self.fragments,
                eta_seconds=-1,
            )
        )


class FoldSlicer:
    """Slices anew.

    Args:
        channel: A channel to the slicer.
        slicer: The slicer, for bytes.
    """

    def __init__(self, channel: grpc.aio.Channel, slicer: SlicerClient) -> None:
        self._models = models_pb2_grpc.ModelsStub(channel)
        self._operations = Operations(channel, _WAIT)
        self._slicer = slicer
        self._farewells: set[asyncio.Task[None]] = set()

    async def slice(
        self,
        context: JobContext,
        fragments: Sequence[str],
        dealing: Dealing,
        folder: Path,
    ) -> list[dict[str, Any]]:
        """Slices every fragment anew in every fold.

        Args:
            context: The operation.
            fragments: Their names.
            dealing: The folds.
            folder: Where graphs are downloaded to before they are kept.

        Returns:
            Of every fold its ``index`` and ``graphs``, paths in the fragments' order.

        Raises:
            FailedPrecondition: A fragment, its model or its plan is gone.
            Unavailable: SLICER_UNAVAILABLE.
            Cancelled: The operation is; the slicer is told.
            ServiceError: The slicer refused, or slicing failed.
        """
        folds = _Folds(context, dealing, len(fragments))
        origins = await all_of(self._origin(name) for name in fragments)
        errands = _errands(origins, dealing.folds)
        gate = asyncio.Semaphore(_AT_ONCE)
        running = asyncio.ensure_future(
            all_of(self._run(folds, errand, folder, gate) for errand in errands)
        )
        try:
            found = await _unless_cancelled(context, running)
        except (Unavailable, asyncio.CancelledError):
            # The next attempt asks for the same and gets it.
            raise
        except ServiceError:
            farewell = asyncio.create_task(self._give_up(folds.started))
            self._farewells.add(farewell)
            farewell.add_done_callback(self._farewells.discard)
            raise
        finally:
            running.cancel()
        graphs: dict[int, dict[int, str]] = {fold: {} for fold in dealing.folds}
        for errand, paths in zip(errands, found, strict=True):
            graphs[errand.fold].update(paths)
        return [
            {"index": fold, "graphs": [paths[place] for place in range(len(fragments))]}
            for fold, paths in graphs.items()
        ]

    async def _origin(self, name: str) -> fragments_pb2.Fragment:
        request = models_pb2.GetFragmentRequest(name=name)
        try:
            return await reached(self._models.GetFragment(request, timeout=_CALL_SECONDS))
        except NotFound as error:
            raise unreachable_origin(name, error) from error

    async def _run(
        self, folds: _Folds, errand: _Errand, folder: Path, gate: asyncio.Semaphore
    ) -> dict[int, str]:
        """Runs an errand; returns paths of graphs by the fragments' places."""
        async with gate:
            response = await self._sliced(folds, errand)
            folds.note(errand, sum(map(len, errand.places.values())), "")
            paths: dict[int, str] = {}
            for fragment in response.fragments:
                path = await self._slicer.fetch(digest_from_name(fragment.graph.name), folder)
                paths |= dict.fromkeys(errand.places.get(fragment.label, ()), str(path))
            return paths

    async def _sliced(self, folds: _Folds, errand: _Errand) -> models_pb2.SliceModelResponse:
        begun: dict[str, None] = {}

        def on_event(event: OperationEvent) -> None:
            label = event.progress.class_label
            if label:
                begun[label] = None
            finished = [len(errand.places[one]) for one in list(begun)[:-1]]
            folds.note(errand, sum(finished), label)

        try:
            begin = asyncio.create_task(self._begun(folds.request(errand)))
            begin.add_done_callback(_is_seen)
            folds.started.add(begin)
            # Whoever is told to stop while the slicer answers has to know what to end.
            name = await asyncio.shield(begin)
            result = self._operations.result(name, models_pb2.SliceModelResponse, on_event)
            response = await reached(result)
        except NotFound as error:
            raise unreachable_origin(f"A class of {model_of(errand.plan)}", error) from error
        folds.started.discard(begin)
        return response

    async def _begun(self, request: models_pb2.SliceModelRequest) -> str:
        operation = await reached(self._models.SliceModel(request, timeout=_CALL_SECONDS))
        return str(operation.name)

    async def _give_up(self, started: Collection[asyncio.Task[str]]) -> None:
        """Tells the slicer that nobody waits any more.

        Nobody waits for this either: what it does not reach ends by itself and is swept.
        """
        for begin in list(started):
            with suppress(ServiceError):
                await self._operations.cancel(await begin)


def _errands(origins: Sequence[fragments_pb2.Fragment], folds: Sequence[int]) -> list[_Errand]:
    """One request for all fragments of one plan that are cut alike, in every fold."""
    alike: dict[tuple[str, tuple[str, ...]], dict[str, list[int]]] = {}
    for place, origin in enumerate(origins):
        key = (origin.plan, tuple(origin.joint_labels))
        alike.setdefault(key, {}).setdefault(origin.label, []).append(place)
    return [
        _Errand(fold, plan, joint, places)
        for fold in folds
        for (plan, joint), places in alike.items()
    ]


def _is_seen(begin: asyncio.Task[str]) -> None:
    """Takes a failure that whoever was told to stop no longer waits for."""
    if not begin.cancelled():
        begin.exception()


async def _unless_cancelled(context: JobContext, work: asyncio.Future[T]) -> T:
    """Awaits work, but no longer than it is wanted.

    Raises:
        Cancelled: It is wanted no longer.
    """
    unwanted: asyncio.Future[Any] = asyncio.ensure_future(context.cancelled.wait())
    either: set[asyncio.Future[Any]] = {work, unwanted}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        unwanted.cancel()
    if work.done():
        return work.result()
    raise cancelled(context.job.operation)
