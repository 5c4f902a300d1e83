"""A real slicer in a process of its own, and what a client does with it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.longrunning import operations_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sliceandpack.artifact.v1.artifacts_pb2_grpc import ArtifactsStub
from sliceandpack.slicer.v1 import models_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2_grpc, plans_pb2
from sliceandpack.slicer.v1.fragments_pb2 import Fragment

from svckit.artifacts.digests import Artifact
from svckit.clients.artifacts import upload
from svckit.clients.channel import channel
from svckit.clients.operations import OnEvent, Operations
from svckit.clients.patience import answer
from svckit.clients.settings import ClientSettings
from tests.helpers.processes import ServiceProcess, children_of
from tests.helpers.submissions import Submission

QUICK = plans_pb2.Recipe(beta=0.5, views=1)
"""Slices a class in a blink."""

SLOW = plans_pb2.Recipe(method=plans_pb2.METHOD_RATE, beta=0.5, views=1, steps=60)
"""Slices a class of a small model in about half a second."""


@contextmanager
def slicer_process(folder: Path, *options: str) -> Iterator[ServiceProcess]:
    """Runs a slicer over a folder."""
    with ServiceProcess("slicer_svc", folder, options).running() as process:
        yield process


@asynccontextmanager
async def slicer_client(address: str) -> AsyncIterator[SlicerClient]:
    """Opens a client of a slicer."""
    async with channel(ClientSettings(address=address)) as opened:
        yield SlicerClient(opened)


class SlicerClient:
    """A slicer as a client sees it.

    Args:
        opened: A channel to it.

    Attributes:
        channel: The channel.
        models: The stub of `Models`; failed calls raise gRPC's errors.
        operations: Waits for operations.
    """

    def __init__(self, opened: grpc.aio.Channel) -> None:
        self.channel = opened
        self.models = models_pb2_grpc.ModelsStub(opened)
        self.artifacts = ArtifactsStub(opened)
        self.operations = Operations(opened)

    async def call(self, method: str, request: Any) -> Any:
        """Calls a method of `Models`.

        Raises:
            ServiceError: The call failed.
        """
        return await answer(getattr(self.models, method)(request))

    async def request_of(self, sent: Submission, model_id: str = "") -> pb.CreateModelRequest:
        """Uploads graph and samples; returns the request that submits them."""
        request = pb.CreateModelRequest(model_id=model_id)
        request.model.labels.extend(sent.labels)
        request.model.inputs.extend(sent.inputs)
        request.model.graph.name = (await upload(self.channel, sent.graph)).name
        request.model.samples.name = (await upload(self.channel, sent.samples)).name
        return request

    async def submit(self, sent: Submission, model_id: str = "") -> pb.Model:
        """Submits a model and waits for it.

        Raises:
            ServiceError: It is refused.
        """
        operation = await self.call("CreateModel", await self.request_of(sent, model_id))
        return await self.operations.result(operation.name, pb.Model)

    async def plan(
        self, model: str, recipe: plans_pb2.Recipe = QUICK, on_event: OnEvent | None = None
    ) -> plans_pb2.Plan:
        """Plans a model and waits for it.

        Raises:
            ServiceError: It failed.
        """
        request = pb.CreatePlanRequest(parent=model)
        request.plan.recipe.CopyFrom(recipe)
        operation = await self.call("CreatePlan", request)
        return await self.operations.result(operation.name, plans_pb2.Plan, on_event)

    async def start_slicing(
        self, plan: str, labels: Sequence[str] = (), *, joint: bool = False
    ) -> operations_pb2.Operation:
        """Asks for fragments and does not wait."""
        model = plan.partition("/plans/")[0]
        request = pb.SliceModelRequest(name=model, plan=plan, labels=labels, joint=joint)
        operation: operations_pb2.Operation = await self.call("SliceModel", request)
        return operation

    async def slice(
        self, plan: str, labels: Sequence[str] = (), *, joint: bool = False
    ) -> list[Fragment]:
        """Slices classes and waits for them.

        Raises:
            ServiceError: It failed.
        """
        operation = await self.start_slicing(plan, labels, joint=joint)
        response = await self.operations.result(operation.name, pb.SliceModelResponse)
        return list(response.fragments)

    async def fragments(self, parent: str) -> list[Fragment]:
        """The fragments of a model, at most 1,000."""
        request = pb.ListFragmentsRequest(parent=parent, page_size=1000, order_by="create_time")
        return list((await self.call("ListFragments", request)).fragments)

    async def first_fragment(self, parent: str) -> Fragment:
        """Waits for the first fragment of a model."""

        async def there() -> bool:
            return bool(await self.fragments(parent))

        await until(there)
        return (await self.fragments(parent))[0]

    async def is_serving(self) -> bool:
        """Whether the slicer says that it serves."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        found = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        return bool(found.status == health_pb2.HealthCheckResponse.SERVING)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - Nothing tells when it does.
            await asyncio.sleep(0.03)


def workers_of(process: ServiceProcess) -> list[int]:
    """The process ids of a slicer's workers."""
    assert process.process is not None
    return children_of(process.process.pid)


def runs(pid: int) -> bool:
    """Whether a process still runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def scratch_of(process: ServiceProcess) -> list[str]:
    """What lies in a slicer's scratch folder."""
    return sorted(path.name for path in (process.folder / "state" / "scratch").iterdir())


def digest_named(data: bytes) -> str:
    """The artifact's name of bytes, whether they are stored or not."""
    return Artifact(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)).name


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """Mounts a small file system over a folder; yields whether that is allowed here."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        # Lazily: a failing test may still hold a file of it open.
        subprocess.run(["umount", "-l", str(folder)], check=True)
