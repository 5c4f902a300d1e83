"""Reads the task of a search: a specification, or samples to make one of."""

from __future__ import annotations

from sliceandpack.slicer.v1 import search_pb2 as pb

from slicer_svc.jobs import entries
from specification.codec import MOST_BYTES, from_bytes
from specification.errors import invalid
from specification.model import Specification
from svckit.artifacts.digests import digest_from_name
from svckit.artifacts.threads import in_thread
from svckit.foundation import Foundation
from svckit.input_messages import decode_input
from svckit.workers.pool import WorkerPool


class Tasks:
    """Makes specifications of what clients look for.

    Args:
        foundation: What the service stands on.
        workers: Look into samples; searches alone wait for them.
    """

    def __init__(self, foundation: Foundation, workers: WorkerPool) -> None:
        self._foundation = foundation
        self._workers = workers

    async def specification(self, task: pb.Task) -> Specification:
        """Returns the specification of a task.

        Args:
            task: A task that `task_violations` has nothing against.

        Raises:
            ServiceError: Its artifact is missing, or no worker is free in time.
            SpecificationError: The specification is none, is of another version, or there can be
                none of the samples.
        """
        match task.WhichOneof("told"):
            case "specification":
                return await in_thread(from_bytes, task.specification)
            case "stored_specification":
                return await self._stored(task.stored_specification.name)
            case _:
                return await self._made(task.samples)

    async def _stored(self, name: str) -> Specification:
        digest = digest_from_name(name, field="task.stored_specification.name")
        artifact = await self._foundation.artifacts.stat(digest)
        if artifact.size_bytes > MOST_BYTES:
            raise invalid("size", f"{artifact.size_bytes} bytes, at most {MOST_BYTES} can be")
        path = await self._foundation.artifacts.path(digest)
        return await in_thread(lambda: from_bytes(path.read_bytes()))

    async def _made(self, samples: pb.TaskSamples) -> Specification:
        digest = digest_from_name(samples.samples.name, field="task.samples.samples.name")
        with self._foundation.scratch() as folder:
            path = folder / "specification"
            request = {
                "samples": str(await self._foundation.artifacts.path(digest)),
                "specification": str(path),
                "labels": list(samples.labels),
                "inputs": [decode_input(spec).to_json() for spec in samples.inputs],
            }
            await self._workers.run(entries.SPECIFY_TASK, request)
            return await in_thread(lambda: from_bytes(path.read_bytes()))
