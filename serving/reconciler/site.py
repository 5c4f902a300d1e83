"""One Triton with its repository, and the simplest things that can be asked of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from serving.client import TritonClient
from serving.errors import ServingError
from serving.model_config import InstanceGroup, InstanceKind, Threads
from serving.reconciler.smoke import Probes
from serving.repository import ModelRepository
from serving.tuning import UNTUNED, RunTime, Tuning, tuned


class PackSource(Protocol):
    """Where packs come from."""

    async def fetch(self, digest: str, target: Path) -> None:
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
        cores: What the models of a CPU may use, at least 1.
        kind: Where they run.
        instances: Copies of each model; None: as `serving.tuning` says.
        intra_op: ONNX Runtime's threads inside an operator; None: as `serving.tuning` says.
    """

    max_batch_size: int
    cores: int
    kind: InstanceKind = InstanceKind.CPU
    instances: int | None = None
    intra_op: int | None = None

    def tuning(self, time: RunTime | None) -> Tuning:
        """How a model is run.

        Args:
            time: Its run time; None where it is not known.
        """
        # Of a GPU the run time on a processor says nothing.
        found = (
            UNTUNED if time is None or self.kind is InstanceKind.GPU else tuned(time, self.cores)
        )
        instances = found.instances.count if self.instances is None else self.instances
        intra_op = found.threads.intra_op if self.intra_op is None else self.intra_op
        return Tuning(InstanceGroup(self.kind, instances), Threads(intra_op), found.batching)


@dataclass(frozen=True)
class Site:
    """One Triton, and what is needed to change what it serves."""

    triton: TritonClient
    repository: ModelRepository
    packs: PackSource
    profile: ServingProfile
    probes: Probes = field(default_factory=Probes)


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
