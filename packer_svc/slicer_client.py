"""What the packer asks of the slicer: fragments, their models, bytes, and references."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import grpc
from sliceandpack.artifact.v1 import artifacts_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.slicer.v1 import fragments_pb2, models_pb2, models_pb2_grpc

from svckit.artifacts.digests import digest_from_name
from svckit.artifacts.store import ArtifactStore
from svckit.clients.artifacts import download
from svckit.clients.patience import answer
from svckit.errors import NotFound, Unavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """A fragment with the model that it was cut out of.

    Attributes:
        fragment: The fragment.
        model: Its model.
    """

    fragment: fragments_pb2.Fragment
    model: models_pb2.Model


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

    async def origin(self, fragment: str) -> Origin:
        """Returns a fragment and its model.

        Raises:
            NotFound: There is no such fragment.
            Unavailable: SLICER_UNAVAILABLE.
        """
        found = await reached(
            self._models.GetFragment(models_pb2.GetFragmentRequest(name=fragment))
        )
        model = fragment.partition("/fragments/")[0]
        request = models_pb2.GetModelRequest(name=model)
        return Origin(found, await reached(self._models.GetModel(request)))

    async def fetch(self, artifact: artifacts_pb2.Artifact, folder: Path) -> Path:
        """Returns a verified file with an artifact's bytes, read from the slicer at most once.

        Args:
            artifact: The artifact.
            folder: Where it is downloaded to before it is kept.

        Raises:
            Unavailable: SLICER_UNAVAILABLE.
            ServiceError: The slicer refused, or the disk is full.
        """
        digest = digest_from_name(artifact.name)
        if not await self._cache.touch(digest):
            path = folder / digest.removeprefix("sha256:")
            await reached(download(self._channel, artifact.name, path))
            await self._cache.put_file(path)
            path.unlink()
        return await self._cache.path(digest)

    async def hold(
        self, name: str, pack: str, fragments: Sequence[str], expire_time: datetime
    ) -> None:
        """Takes a reference, or renews it where it exists.

        Args:
            name: The reference, "models/{model}/references/{reference}".
            pack: The holder.
            fragments: What it holds.
            expire_time: When it ends.

        Raises:
            NotFound: The model or a fragment is gone.
            Unavailable: SLICER_UNAVAILABLE.
        """
        request = models_pb2.UpdateReferenceRequest()
        request.reference.name = name
        request.reference.expire_time.FromDatetime(expire_time)
        request.update_mask.paths.append("expire_time")
        try:
            await reached(self._models.UpdateReference(request))
        except NotFound:
            await self._take(name, pack, fragments, expire_time)

    async def _take(
        self, name: str, pack: str, fragments: Sequence[str], expire_time: datetime
    ) -> None:
        model, _, reference = name.partition("/references/")
        request = models_pb2.CreateReferenceRequest(parent=model, reference_id=reference)
        request.reference.holder = pack
        request.reference.fragments.extend(fragments)
        request.reference.expire_time.FromDatetime(expire_time)
        await reached(self._models.CreateReference(request))

    async def release(self, name: str) -> None:
        """Lets go of a reference; one that is gone already is no error.

        Raises:
            Unavailable: SLICER_UNAVAILABLE.
        """
        try:
            await reached(
                self._models.DeleteReference(models_pb2.DeleteReferenceRequest(name=name))
            )
        except NotFound:
            return


async def reached(call: Awaitable[T]) -> T:
    """Awaits the slicer's answer.

    Raises:
        Unavailable: SLICER_UNAVAILABLE, it cannot be reached.
        ServiceError: It refused.
    """
    try:
        return await answer(call)
    except Unavailable as error:
        raise Unavailable(
            reasons.ERROR_REASON_SLICER_UNAVAILABLE,
            "The slicer cannot be reached.",
            advice="Start the slicer, or set the packer's slicer address; then try again.",
        ) from error
