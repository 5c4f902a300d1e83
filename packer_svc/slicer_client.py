"""What the packer asks of the slicer: fragments, their models, bytes, and references."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import grpc
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.slicer.v1 import fragments_pb2, models_pb2, models_pb2_grpc, plans_pb2

from packer_svc.origins import Origin, model_of, told_origin
from svckit.artifacts.digests import artifact_name
from svckit.artifacts.failures import full_disk_is_an_answer
from svckit.artifacts.store import ArtifactStore
from svckit.clients.artifacts import download
from svckit.clients.patience import answer
from svckit.clients.transfer import TransferPolicy
from svckit.errors import AlreadyExists, DataLoss, DeadlineExceeded, NotFound, Unavailable

T = TypeVar("T")

CALL_SECONDS = 8.0
"""How long one answer of the slicer may take, in seconds. It only reads rows, and the operation
that asks is tried again: a slicer that hangs is given up within half a minute."""
_DOWNLOAD = TransferPolicy(attempts=3, idle_seconds=CALL_SECONDS)

# How many fragments or models are asked for at the same time.
_AT_ONCE = 8

# How many models are listed with one call.
_AT_A_TIME = 100


class SlicerClient:
    """The slicer as the packer sees it.

    Args:
        channel: A channel to the slicer.
        cache: Where what was read is kept, by digest.
    """

    def __init__(self, channel: grpc.aio.Channel, cache: ArtifactStore) -> None:
        self._channel = channel
        self._models = models_pb2_grpc.ModelsStub(channel)
        self._cache = cache

    async def origins(self, fragments: Sequence[str]) -> list[Origin]:
        """Returns fragments with their models, in the order of the names.

        Raises:
            NotFound: There is no such fragment.
            Unavailable: SLICER_UNAVAILABLE.
        """
        gate = asyncio.Semaphore(_AT_ONCE)
        found = await all_of(self._fragment(name, gate) for name in fragments)
        names = list(dict.fromkeys(model_of(name) for name in fragments))
        models = await all_of(self._model(name, gate) for name in names)
        by_name = dict(zip(names, models, strict=True))
        return [
            told_origin(fragment, by_name[model_of(name)])
            for name, fragment in zip(fragments, found, strict=True)
        ]

    async def recipes(self, fragments: Sequence[str]) -> list[plans_pb2.Recipe]:
        """Returns by what recipes fragments were sliced; an empty one where the plan is gone.

        Raises:
            NotFound: There is no such fragment.
            Unavailable: SLICER_UNAVAILABLE.
        """
        gate = asyncio.Semaphore(_AT_ONCE)
        found = await all_of(self._fragment(name, gate) for name in fragments)
        plans = list(dict.fromkeys(fragment.plan for fragment in found))
        recipes = await all_of(self._recipe(plan, gate) for plan in plans)
        by_plan = dict(zip(plans, recipes, strict=True))
        return [by_plan[fragment.plan] for fragment in found]

    async def _recipe(self, plan: str, gate: asyncio.Semaphore) -> plans_pb2.Recipe:
        async with gate:
            request = models_pb2.GetPlanRequest(name=plan)
            try:
                return (await reached(self._models.GetPlan(request, timeout=CALL_SECONDS))).recipe
            except NotFound:
                return plans_pb2.Recipe()

    async def _fragment(self, name: str, gate: asyncio.Semaphore) -> fragments_pb2.Fragment:
        async with gate:
            request = models_pb2.GetFragmentRequest(name=name)
            return await reached(self._models.GetFragment(request, timeout=CALL_SECONDS))

    async def model(self, name: str) -> models_pb2.Model:
        """Returns a model.

        Raises:
            NotFound: There is no such model.
            Unavailable: SLICER_UNAVAILABLE.
        """
        return await self._model(name, asyncio.Semaphore(1))

    async def _model(self, name: str, gate: asyncio.Semaphore) -> models_pb2.Model:
        async with gate:
            request = models_pb2.GetModelRequest(name=name)
            return await reached(self._models.GetModel(request, timeout=CALL_SECONDS))

    async def models(self, names: Sequence[str]) -> list[models_pb2.Model]:
        """Returns models in the order of their names.

        Raises:
            NotFound: There is no such model.
            Unavailable: SLICER_UNAVAILABLE.
        """
        gate = asyncio.Semaphore(_AT_ONCE)
        return await all_of(self._model(name, gate) for name in names)

    async def newest_models(self) -> AsyncIterator[models_pb2.Model]:
        """Yields the models of the market, the newest first.

        Raises:
            Unavailable: SLICER_UNAVAILABLE.
        """
        token = ""
        while True:
            request = models_pb2.ListModelsRequest(page_size=_AT_A_TIME, page_token=token)
            page = await reached(self._models.ListModels(request, timeout=CALL_SECONDS))
            for model in page.models:
                yield model
            token = page.next_page_token
            if not token:
                return

    async def fetch(self, digest: str, folder: Path) -> Path:
        """Returns a verified file with an artifact's bytes, read from the slicer at most once.

        A copy that was damaged on the disk is read from the slicer again.

        Args:
            digest: The artifact's digest.
            folder: Where it is downloaded to before it is kept.

        Raises:
            Unavailable: SLICER_UNAVAILABLE.
            ServiceError: The slicer refused, or the disk is full.
        """
        if await self._cache.touch(digest):
            with suppress(DataLoss):
                return await self._cache.path(digest)
        path = folder / digest.removeprefix("sha256:")
        with full_disk_is_an_answer():
            await reached(download(self._channel, artifact_name(digest), path, policy=_DOWNLOAD))
        await self._cache.put_file(path)
        path.unlink()
        return await self._cache.path(digest)

    async def fetch_all(self, digests: Iterable[str], folder: Path) -> dict[str, Path]:
        """Returns files as `fetch` does, by their digests, several at a time.

        Args:
            digests: The artifacts' digests, any of them several times.
            folder: Where they are downloaded to before they are kept.

        Raises:
            Unavailable: SLICER_UNAVAILABLE.
            ServiceError: The slicer refused, or the disk is full.
        """
        return await self._each(digests, lambda digest: self.fetch(digest, folder))

    async def fetch_what_is_there(
        self, digests: Iterable[str], folder: Path
    ) -> tuple[dict[str, Path], dict[str, NotFound | DataLoss]]:
        """Returns files as `fetch_all` does, and for those that the slicer has lost its errors.

        Args:
            digests: As of `fetch_all`.
            folder: Likewise.

        Raises:
            Unavailable: SLICER_UNAVAILABLE.
            ServiceError: The slicer refused, or the disk is full.
        """

        async def one(digest: str) -> Path | NotFound | DataLoss:
            try:
                return await self.fetch(digest, folder)
            except (NotFound, DataLoss) as error:
                return error

        found = await self._each(digests, one)
        there = {digest: path for digest, path in found.items() if isinstance(path, Path)}
        lost = {d: error for d, error in found.items() if not isinstance(error, Path)}
        return there, lost

    async def _each(
        self, digests: Iterable[str], fetch: Callable[[str], Awaitable[T]]
    ) -> dict[str, T]:
        gate = asyncio.Semaphore(_AT_ONCE)
        different = list(dict.fromkeys(digests))

        async def one(digest: str) -> T:
            async with gate:
                return await fetch(digest)

        found = await all_of(one(digest) for digest in different)
        return dict(zip(different, found, strict=True))

    async def take(
        self, name: str, pack: str, fragments: Sequence[str], expire_time: datetime
    ) -> None:
        """Takes a reference, or renews the one that an earlier try took.

        Args:
            name: The reference, "models/{model}/references/{reference}".
            pack: The holder.
            fragments: What it holds.
            expire_time: When it ends.

        Raises:
            NotFound: The model or a fragment is gone.
            Unavailable: SLICER_UNAVAILABLE.
        """
        try:
            await self._create_reference(name, pack, fragments, expire_time)
        except AlreadyExists:
            await self._renew_reference(name, expire_time)

    async def hold(
        self, name: str, pack: str, fragments: Sequence[str], expire_time: datetime
    ) -> None:
        """Renews a reference, or takes it where it is gone; arguments and errors as of `take`."""
        try:
            await self._renew_reference(name, expire_time)
        except NotFound:
            await self._create_reference(name, pack, fragments, expire_time)

    async def _renew_reference(self, name: str, expire_time: datetime) -> None:
        request = models_pb2.UpdateReferenceRequest()
        request.reference.name = name
        request.reference.expire_time.FromDatetime(expire_time)
        request.update_mask.paths.append("expire_time")
        await reached(self._models.UpdateReference(request, timeout=CALL_SECONDS))

    async def _create_reference(
        self, name: str, pack: str, fragments: Sequence[str], expire_time: datetime
    ) -> None:
        model, _, reference = name.partition("/references/")
        request = models_pb2.CreateReferenceRequest(parent=model, reference_id=reference)
        request.reference.holder = pack
        request.reference.fragments.extend(fragments)
        request.reference.expire_time.FromDatetime(expire_time)
        await reached(self._models.CreateReference(request, timeout=CALL_SECONDS))

    async def release(self, name: str) -> None:
        """Lets go of a reference; one that is gone already is no error.

        Raises:
            Unavailable: SLICER_UNAVAILABLE.
        """
        request = models_pb2.DeleteReferenceRequest(name=name)
        with suppress(NotFound):
            await reached(self._models.DeleteReference(request, timeout=CALL_SECONDS))


async def all_of(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Awaits calls together and returns what they return; at the first error others are ended."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def reached(call: Awaitable[T]) -> T:
    """Awaits the slicer's answer.

    Raises:
        Unavailable: SLICER_UNAVAILABLE, it cannot be reached or does not answer.
        ServiceError: It refused.
    """
    try:
        return await answer(call)
    except (Unavailable, DeadlineExceeded) as error:
        raise Unavailable(
            reasons.ERROR_REASON_SLICER_UNAVAILABLE,
            "The slicer cannot be reached.",
            advice="Start the slicer, or set the packer's slicer address; then try again.",
        ) from error
