"""A loopback server with the Artifacts service alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from sliceandpack.artifact.v1 import artifacts_pb2_grpc

from svckit.artifacts.folder import FolderArtifactStore
from svckit.artifacts.servicer import ArtifactsServicer
from svckit.interceptors.errors import ErrorInterceptor
from svckit.interceptors.required_fields import RequiredFieldsInterceptor

LIMIT_BYTES = 8 * 2**20
"""The largest artifact that the server takes."""


@dataclass(frozen=True)
class ArtifactServer:
    """A running server, its store, the store's folder, and a channel to it."""

    store: FolderArtifactStore
    root: Path
    port: int
    channel: grpc.aio.Channel


@asynccontextmanager
async def serve_artifacts(
    root: Path, *, port: int = 0, kind: type[ArtifactsServicer] = ArtifactsServicer
) -> AsyncIterator[ArtifactServer]:
    """Serves the artifacts of a folder; uploads may stand still for a second.

    Args:
        root: The store's folder.
        port: The port on loopback; 0 takes a free one.
        kind: The servicer's class.
    """
    store = FolderArtifactStore(root, max_bytes=LIMIT_BYTES)
    server = grpc.aio.server(interceptors=[ErrorInterceptor(), RequiredFieldsInterceptor()])
    servicer = kind(store, idle_seconds=1.0)
    artifacts_pb2_grpc.add_ArtifactsServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield ArtifactServer(store, root, port, channel)
    await server.stop(None)
