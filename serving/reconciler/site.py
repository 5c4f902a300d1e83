"""One Triton with its repository, and the simplest things that can be asked of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.client import TritonClient
from serving.errors import ServingError
from serving.model_config import InstanceGroup, Threads
from serving.reconciler.desired import ArtifactReference
from serving.repository import ModelRepository


class PackSource(Protocol):
    """Where packs come from."""

    async def fetch(self, reference: ArtifactReference, target: Path) -> None:
        """Writes an artifact's bytes to a file, verified by digest.

        Raises:
            PackUnavailableError: It cannot be read now.
            PackDamagedError: The bytes are others than the digest says.
        """


@dataclass(frozen=True)
class ServingProfile:
    """How every model of this replica is run.

    Attributes:
        max_batch_size: Largest batch of one execution, at least 1; a larger request is refused.
        instance_group: Copies of each model, and where.
        threads: ONNX Runtime's threads per instance.
    """

    max_batch_size: int
    instance_group: InstanceGroup
    threads: Threads


@dataclass(frozen=True)
class Site:
    """One Triton, and what is needed to change what it serves."""

    triton: TritonClient
    repository: ModelRepository
    packs: PackSource
    profile: ServingProfile


async def retire(site: Site, name: str) -> None:
    """Stops serving a name and forgets its versions.

    Args:
        site: The Triton.
        name: The model.

    Raises:
        ServingError: Triton could not be told.
    """
    await site.triton.unload(name)
    await asyncio.to_thread(site.repository.remove, name)


async def loaded_versions(site: Site, name: str) -> set[int]:
    """The versions of a model that Triton calls ready.

    Args:
        site: The Triton.
        name: The model.

    Raises:
        ServingError: Triton does not answer.
    """
    index = await site.triton.index()
    return {entry.version for entry in index if entry.name == name and entry.ready}


async def serving_version(site: Site, name: str) -> int | None:
    """The version that clients of a name get, None for none, or where Triton does not answer.

    Args:
        site: The Triton.
        name: The model.
    """
    try:
        loaded = await loaded_versions(site, name)
    except ServingError:
        return None
    return max(loaded, default=None)
