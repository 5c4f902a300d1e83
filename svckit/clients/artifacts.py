"""Uploads and downloads of artifacts that go on where they broke off."""

from pathlib import Path
from typing import Final

import grpc
from sliceandpack.artifact.v1 import artifacts_pb2 as pb
from sliceandpack.artifact.v1 import artifacts_pb2_grpc

from svckit.clients.artifact_download import Download
from svckit.clients.artifact_upload import Source, Upload
from svckit.clients.transfer import OnProgress, TransferPolicy

_POLICY: Final = TransferPolicy()


async def upload(
    channel: grpc.aio.Channel,
    source: Path | bytes,
    *,
    on_progress: OnProgress | None = None,
    policy: TransferPolicy = _POLICY,
) -> pb.Artifact:
    """Uploads a file or bytes; resumes after a break, and sends nothing that is stored already.

    Args:
        channel: A channel to a server with the Artifacts service.
        source: What to upload; a file must not change meanwhile.
        on_progress: Gets the bytes handed to the connection and the bytes in all.
        policy: How patient to be.

    Raises:
        ServiceError: The server refused, or the attempts are used up.
        OSError: The file cannot be read.
    """
    with Source(source) as opened:
        run = Upload(artifacts_pb2_grpc.ArtifactsStub(channel), opened, on_progress, policy)
        return await run.complete()


async def download(
    channel: grpc.aio.Channel,
    name: str,
    path: Path,
    *,
    on_progress: OnProgress | None = None,
    policy: TransferPolicy = _POLICY,
) -> None:
    """Downloads an artifact into a file; the file appears whole and verified, or not at all.

    What came so far is kept beside it as ``<path>.<hex>.part`` when the download fails or is
    cancelled; the next download of the same artifact to the same path goes on from there.

    Args:
        channel: A channel to a server with the Artifacts service.
        name: The artifact, ``artifacts/sha256:<hex>``.
        path: The file; replaced if it exists. Its folder must exist.
        on_progress: Gets the bytes written and the bytes in all.
        policy: How patient to be.

    Raises:
        ServiceError: The server refused, or the attempts are used up.
        DataLoss: DIGEST_MISMATCH, twice in a row what came was not the artifact.
        OSError: The file cannot be written.
    """
    run = Download(artifacts_pb2_grpc.ArtifactsStub(channel), name, path, on_progress, policy)
    await run.complete()
