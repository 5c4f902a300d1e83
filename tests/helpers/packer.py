"""A packer that only tells reconcilers what to serve: a real gRPC server with faults at will."""

# ruff: noqa: ARG002 - Servicer methods have arguments of their own.

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
import numpy as np
import numpy.typing as npt
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.packer.v1 import deployments_pb2, deployments_pb2_grpc
from sliceandpack.slicer.v1 import input_spec_pb2

from tests.helpers.triton import FEATURES, LABELS, answers, classifier, samples

LONG_SECONDS = 60.0
"""What takes well under a second here, and many on a machine with more to do than cores."""

_CHUNK = 64


@dataclass(frozen=True)
class FakePack:
    """A pack's bytes: its graph and its smoke test."""

    graph: bytes
    smoke_test: bytes
    labels: tuple[str, ...] = LABELS
    input_name: str = "x"
    none_of_these: bool = False


def digest_of(data: bytes) -> str:
    """`sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def smoke_test_bytes(
    inputs: Mapping[str, npt.NDArray[np.generic]],
    outputs: Mapping[str, npt.NDArray[np.generic]],
    **more: npt.ArrayLike,
) -> bytes:
    """An npz with "input/NAME" and "output/NAME", and what else it is to have."""
    buffer = io.BytesIO()
    arrays = {f"input/{name}": array for name, array in inputs.items()}
    arrays |= {f"output/{name}": array for name, array in outputs.items()}
    arrays |= {name: np.asarray(value) for name, value in more.items()}
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def classifier_pack(seed: int, **changes: object) -> FakePack:
    """The pack of `classifier(seed)` with the right answers."""
    x = samples(5)
    right = smoke_test_bytes({"x": x}, {"probabilities": answers(seed, x).astype(np.float32)})
    pack = {"graph": classifier(seed), "smoke_test": right} | changes
    return FakePack(**pack)  # type: ignore[arg-type]


class FakePacker(deployments_pb2_grpc.DeploymentsServicer, artifacts_pb2_grpc.ArtifactsServicer):
    """Deployments.WatchDesired and ReportReady, and Artifacts.Read."""

    def __init__(self) -> None:
        self.reports: list[deployments_pb2.ReportReadyRequest] = []
        self.broken_reads = 0
        self.damaged = False
        self.giving = asyncio.Event()
        self.giving.set()
        self._artifacts: dict[str, bytes] = {}
        self._desired: dict[str, deployments_pb2.DesiredDeployment] = {}
        self._revision = 1
        self._line = 0
        self._changed = asyncio.Condition()

    def keep(self, data: bytes) -> artifacts_pb2.Artifact:
        """Keeps bytes and names them."""
        name = f"artifacts/{digest_of(data)}"
        self._artifacts[name] = data
        return artifacts_pb2.Artifact(name=name, size_bytes=len(data))

    async def deploy(
        self, name: str, pack: FakePack, *, version: int, previous: int = 0, canary_of: str = ""
    ) -> int:
        """Desires a pack under a name; returns the generation."""
        old = self._desired.get(name)
        generation = old.generation + 1 if old else 1
        self._desired[name] = deployments_pb2.DesiredDeployment(
            name=f"deployments/{name}",
            generation=generation,
            pack=f"packs/p{version}",
            version=version,
            graph=self.keep(pack.graph),
            smoke_test=self.keep(pack.smoke_test),
            labels=pack.labels,
            inputs=[
                input_spec_pb2.InputSpec(
                    name=pack.input_name,
                    shape=[FEATURES],
                    element_type=input_spec_pb2.ELEMENT_TYPE_FLOAT32,
                )
            ],
            previous_version=previous,
            none_of_these=pack.none_of_these,
            canary_of=f"deployments/{canary_of}" if canary_of else "",
        )
        await self._announce()
        return generation

    async def withdraw(self, name: str) -> None:
        """Desires a name no longer."""
        del self._desired[name]
        await self._announce()

    async def hang_up(self) -> None:
        """Breaks the connection of every watcher."""
        async with self._changed:
            self._line += 1
            self._changed.notify_all()

    async def deploy_and_wait(
        self, name: str, pack: FakePack, *, version: int, previous: int = 0
    ) -> deployments_pb2.ReportReadyRequest:
        """Desires a pack under a name and waits for the report on it."""
        generation = await self.deploy(name, pack, version=version, previous=previous)
        return await self.report(name, generation)

    async def report(
        self, name: str, generation: int, *, served: bool = False
    ) -> deployments_pb2.ReportReadyRequest:
        """Waits for a report on a generation and takes it out of `reports`.

        Args:
            name: The deployment.
            generation: The generation.
            served: Whether reports of a failure are passed over: they come at least once, and
                another one for each reason that a replica meets on its way.
        """
        wanted = (f"deployments/{name}", generation)
        async with asyncio.timeout(LONG_SECONDS), self._changed:
            while True:
                for report in self.reports:
                    fits = (report.deployment, report.generation) == wanted
                    if fits and not (served and report.HasField("error")):
                        self.reports.remove(report)
                        return report
                await self._changed.wait()

    async def WatchDesired(  # noqa: N802 - gRPC's name.
        self,
        request: deployments_pb2.WatchDesiredRequest,
        context: grpc.aio.ServicerContext[
            deployments_pb2.WatchDesiredRequest, deployments_pb2.DesiredState
        ],
    ) -> AsyncIterator[deployments_pb2.DesiredState]:
        seen, line = 0, self._line
        while True:
            async with self._changed:
                while self._revision == seen and self._line == line:
                    await self._changed.wait()
                seen = self._revision
            if self._line != line:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the line is cut")
            yield deployments_pb2.DesiredState(
                revision=seen, deployments=list(self._desired.values())
            )

    async def ReportReady(  # noqa: N802 - gRPC's name.
        self,
        request: deployments_pb2.ReportReadyRequest,
        context: grpc.aio.ServicerContext[
            deployments_pb2.ReportReadyRequest, deployments_pb2.ReportReadyResponse
        ],
    ) -> deployments_pb2.ReportReadyResponse:
        async with self._changed:
            self.reports.append(request)
            self._changed.notify_all()
        return deployments_pb2.ReportReadyResponse()

    async def QueryWriteStatus(  # noqa: N802 - gRPC's name.
        self,
        request: artifacts_pb2.QueryWriteStatusRequest,
        context: grpc.aio.ServicerContext[
            artifacts_pb2.QueryWriteStatusRequest, artifacts_pb2.QueryWriteStatusResponse
        ],
    ) -> artifacts_pb2.QueryWriteStatusResponse:
        data = self._artifacts.get(request.name)
        return artifacts_pb2.QueryWriteStatusResponse(
            committed_size=len(data or b""), complete=data is not None
        )

    async def Read(  # noqa: N802 - gRPC's name.
        self,
        request: artifacts_pb2.ReadRequest,
        context: grpc.aio.ServicerContext[artifacts_pb2.ReadRequest, artifacts_pb2.ReadResponse],
    ) -> AsyncIterator[artifacts_pb2.ReadResponse]:
        await self.giving.wait()
        data = self._artifacts[request.name][request.read_offset :]
        if self.damaged:
            data = bytes(byte ^ 1 for byte in data)
        for place, chunk in enumerate(_chunks(data)):
            if place == 2 and self.broken_reads:
                self.broken_reads -= 1
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the stream broke")
            yield artifacts_pb2.ReadResponse(data=chunk)

    async def _announce(self) -> None:
        async with self._changed:
            self._revision += 1
            self._changed.notify_all()


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]


@asynccontextmanager
async def serving_packer(packer: FakePacker, port: int = 0) -> AsyncIterator[str]:
    """Serves a fake packer on loopback; gives its address."""
    server = grpc.aio.server()
    deployments_pb2_grpc.add_DeploymentsServicer_to_server(packer, server)
    artifacts_pb2_grpc.add_ArtifactsServicer_to_server(packer, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        await server.stop(grace=0)
