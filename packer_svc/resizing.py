"""Has the classes of a pack planned together and sliced anew, those of a model as one trunk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import grpc
from google.longrunning.operations_pb2 import Operation
from google.protobuf.message import Message
from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent, Progress
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc, plans_pb2

from packer_svc.ordered import OrderedWork
from packer_svc.origins import Origin, model_of
from packer_svc.recipe import Ingredient
from packer_svc.sizing import SIZES, Front, Order
from packer_svc.slicer_client import CALL_SECONDS, SlicerClient, all_of
from packer_svc.slicer_work import SlicerWork, Wanted
from packer_svc.store.failures import class_named_twice
from svckit.clients.operations import OnEvent
from svckit.operations.job import JobContext

M = TypeVar("M", bound=Message)

# How many of the slicer's operations run at the same time for one pack: others want it too.
_AT_ONCE = 4

# Parts of one of the slicer's operations, as they are counted in the pack's own progress.
_PARTS = 100


@dataclass(frozen=True)
class Resized:
    """What came of it.

    Attributes:
        fragments: By the fragments that were named the new ones.
        points: By branch what it was predicted to come to.
        shared: By branch the new fragments that share it.
    """

    fragments: Sequence[str]
    points: Sequence[plans_pb2.FrontPoint]
    shared: Sequence[Sequence[str]]


@dataclass(frozen=True)
class _Kind:
    """What classes are planned alike and cut together by.

    Attributes:
        model: Their model.
        recipe: How they are sliced, serialized, without a size.
    """

    model: str
    recipe: bytes

    def sized(self, name: str, size: float) -> plans_pb2.Recipe:
        """The recipe with a size."""
        recipe = plans_pb2.Recipe.FromString(self.recipe)
        setattr(recipe, name, size)
        return recipe


class Resizer:
    """Orders fragments of the slicer.

    Args:
        channel: A channel to the slicer.
        slicer: The same slicer.
        ordered: Remembers what was ordered.
    """

    def __init__(
        self, channel: grpc.aio.Channel, slicer: SlicerClient, ordered: OrderedWork
    ) -> None:
        self._models = models_pb2_grpc.ModelsStub(channel)
        self._work = SlicerWork(channel)
        self._slicer = slicer
        self._ordered = ordered

    async def resize(
        self, context: JobContext, order: Order, ingredients: Sequence[Ingredient]
    ) -> Resized:
        """Plans classes together and has them sliced.

        Classes of one model become one trunk. Everything else but the size is as the fragments
        named were sliced: method, views, seed, and whether samples of other models are read; where
        these differ within a model, it has a trunk for each.

        Args:
            context: The operation's.
            order: The size that is asked for.
            ingredients: The fragments named.

        Raises:
            InvalidArgument: BUDGET_UNREACHABLE, or FRAGMENTS_DUPLICATE for a class named twice.
            ServiceError: The slicer cannot be reached, or failed.
        """
        _refuse_twice(ingredients)
        names = [one.origin.fragment for one in ingredients]
        recipes = await self._slicer.recipes(names)
        kinds = [
            _Kind(model_of(name), _without_size(recipe))
            for name, recipe in zip(names, recipes, strict=True)
        ]
        cuts: dict[_Kind, list[Origin]] = {}
        for one, kind in zip(ingredients, kinds, strict=True):
            cuts.setdefault(kind, []).append(one.origin)
        fronts = await self._fronts(context, order, cuts)
        points = order.choose(fronts)
        sizes = {kind: point.size for kind, point in zip(cuts, points, strict=True)}
        made = await self._sliced(context, order, cuts, sizes)
        return Resized(
            [made[kind][one.origin.label] for one, kind in zip(ingredients, kinds, strict=True)],
            points,
            [[made[kind][origin.label] for origin in cut] for kind, cut in cuts.items()],
        )

    async def _fronts(
        self, context: JobContext, order: Order, cuts: Mapping[_Kind, Sequence[Origin]]
    ) -> Sequence[Front]:
        progress = _JointProgress(context, "front", len(cuts))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def front(place: int, kind: _Kind, cut: Sequence[Origin]) -> Front:
            request = models_pb2.PredictFrontRequest(
                name=kind.model, recipe=kind.sized(order.kind.recipe_size, 1.0), sizes=SIZES
            )
            wanted = Wanted(
                f"front {kind}",
                partial(_asked, self._models.PredictFront, request),
                models_pb2.PredictFrontResponse,
            )
            async with gate:
                found = await self._run(context, wanted, progress.of(place))
            return Front(found.points, cut[0].model.classes, len(cut))

        return await all_of(
            front(place, kind, cut) for place, (kind, cut) in enumerate(cuts.items())
        )

    async def _sliced(
        self,
        context: JobContext,
        order: Order,
        cuts: Mapping[_Kind, Sequence[Origin]],
        sizes: Mapping[_Kind, float],
    ) -> Mapping[_Kind, Mapping[str, str]]:
        """By kind and label the names of fragments."""
        progress = _JointProgress(context, "slice", len(cuts))
        gate = asyncio.Semaphore(_AT_ONCE)

        async def fragments(place: int, kind: _Kind, cut: Sequence[Origin]) -> Mapping[str, str]:
            async with gate:
                recipe = kind.sized(order.kind.recipe_size, sizes[kind])
                plan = await self._plan(context, kind.model, recipe)
                labels = [origin.label for origin in cut]
                return await self._slice(context, plan, labels, progress.of(place))

        found = await all_of(
            fragments(place, kind, cut) for place, (kind, cut) in enumerate(cuts.items())
        )
        return dict(zip(cuts, found, strict=True))

    async def _plan(self, context: JobContext, model: str, recipe: plans_pb2.Recipe) -> str:
        request = models_pb2.CreatePlanRequest(parent=model, plan=plans_pb2.Plan(recipe=recipe))
        wanted = Wanted(
            f"plan {model} {recipe.SerializeToString(deterministic=True)!r}",
            partial(_asked, self._models.CreatePlan, request),
            plans_pb2.Plan,
        )
        return (await self._run(context, wanted)).name

    async def _slice(
        self, context: JobContext, plan: str, labels: Sequence[str], on_event: OnEvent
    ) -> Mapping[str, str]:
        """By label the names of fragments."""
        model = plan.partition("/plans/")[0]
        request = models_pb2.SliceModelRequest(name=model, plan=plan, labels=labels, joint=True)
        wanted = Wanted(
            f"slice {plan} {labels}",
            partial(_asked, self._models.SliceModel, request),
            models_pb2.SliceModelResponse,
        )
        found = await self._run(context, wanted, on_event)
        return {fragment.label: fragment.name for fragment in found.fragments}

    async def _run(
        self, context: JobContext, wanted: Wanted[M], on_event: OnEvent | None = None
    ) -> M:
        note = partial(self._ordered.note, context.job.operation)
        return await self._work.run(context, wanted, note, on_event)


class _JointProgress:
    """Makes one progress of several of the slicer's operations that run beside each other."""

    def __init__(self, context: JobContext, phase: str, count: int) -> None:
        self._context = context
        self._phase = phase
        self._parts = [0] * count
        self._note(Progress())

    def of(self, place: int) -> OnEvent:
        """Takes the events of one of them."""

        def take(event: OperationEvent) -> None:
            told = event.progress
            if told.total > 0:
                self._parts[place] = _PARTS * told.done // told.total
            self._note(told)

        return take

    def _note(self, told: Progress) -> None:
        self._context.note(
            Progress(
                phase=self._phase,
                class_label=told.class_label,
                layer=told.layer,
                done=sum(self._parts),
                total=_PARTS * len(self._parts),
                eta_seconds=-1,
            )
        )


async def _asked(
    method: Callable[..., Awaitable[Operation]],
    request: models_pb2.PredictFrontRequest
    | models_pb2.CreatePlanRequest
    | models_pb2.SliceModelRequest,
    request_id: str,
) -> Operation:
    request.request_id = request_id
    return await method(request, timeout=CALL_SECONDS)


def _without_size(recipe: plans_pb2.Recipe) -> bytes:
    """A recipe that takes a budget, serialized: a threshold takes none."""
    bare = plans_pb2.Recipe()
    bare.CopyFrom(recipe)
    bare.ClearField("beta")
    size = bare.WhichOneof("size")
    if size is not None:
        bare.ClearField(size)
    if bare.method in (plans_pb2.METHOD_THRESHOLD, plans_pb2.METHOD_THRESHOLD_PLAIN):
        bare.method = plans_pb2.METHOD_CLOSED_FORM
    bare.predict_latency = False
    return bare.SerializeToString(deterministic=True)


def _refuse_twice(ingredients: Sequence[Ingredient]) -> None:
    first: dict[tuple[str, int], str] = {}
    for one in ingredients:
        key = (one.origin.model.name, one.origin.source_class)
        other = first.setdefault(key, one.origin.fragment)
        if other != one.origin.fragment:
            raise class_named_twice(other, one.origin.fragment)
