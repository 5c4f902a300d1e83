"""Uploads and downloads over connections that break, against a real loopback server."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from sliceandpack.artifact.v1 import artifacts_pb2 as pb

from svckit.artifacts.digests import artifact_name, digest_of
from svckit.artifacts.servicer import ArtifactsServicer
from svckit.clients.artifacts import download, upload
from svckit.clients.transfer import TransferPolicy
from svckit.errors import DataLoss, InvalidArgument, NotFound, ServiceError, Unavailable
from tests.helpers.artifact_server import LIMIT_BYTES, ArtifactServer, serve_artifacts
from tests.helpers.cutting_proxy import cutting_proxy

CONTENT = os.urandom(3 * 2**20 + 17)
NAME = artifact_name(digest_of(CONTENT))
QUICK = TransferPolicy(
    attempts=4, first_pause_seconds=0.01, longest_pause_seconds=0.02, idle_seconds=5.0
)
# The channel's own wait before it connects again, which is a second by default.
RECONNECT = [("grpc.min_reconnect_backoff_ms", 20), ("grpc.initial_reconnect_backoff_ms", 20)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


async def test_a_file_goes_up_and_comes_down_again(
    served: ArtifactServer, source: Path, tmp_path: Path
) -> None:
    sent: list[tuple[int, int]] = []
    received: list[tuple[int, int]] = []
    artifact = await upload(served.channel, source, on_progress=lambda *at: sent.append(at))
    assert artifact == pb.Artifact(name=NAME, size_bytes=len(CONTENT))
    target = tmp_path / "target"
    await download(served.channel, NAME, target, on_progress=lambda *at: received.append(at))
    assert target.read_bytes() == CONTENT
    for progress in (sent, received):
        assert progress == sorted(progress)
        assert progress[-1] == (len(CONTENT), len(CONTENT))
    assert names(tmp_path) == ["source", "store", "target"]


async def test_bytes_in_memory_and_no_bytes_at_all_can_be_sent(
    served: ArtifactServer, tmp_path: Path
) -> None:
    for content in (b"few", b""):
        artifact = await upload(served.channel, content)
        await download(served.channel, artifact.name, tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == content


async def test_a_stored_artifact_is_not_sent_again(served: ArtifactServer, source: Path) -> None:
    await upload(served.channel, source)
    sent: list[int] = []
    artifact = await upload(served.channel, source, on_progress=lambda done, _: sent.append(done))
    assert artifact.size_bytes == len(CONTENT)
    assert len(sent) <= 2, "only the first message, and perhaps one chunk before the answer"


async def test_an_upload_survives_broken_connections(served: ArtifactServer, source: Path) -> None:
    budgets = [700_000, 1_000_000, 300]
    async with cutting_proxy(served.port, budgets) as (address, proxy):
        async with grpc.aio.insecure_channel(address, options=RECONNECT) as channel:
            artifact = await upload(channel, source, policy=QUICK)
        assert proxy.cuts == len(budgets)
    assert artifact.name == NAME
    stored = b"".join([chunk async for chunk in served.store.read(digest_of(CONTENT))])
    assert stored == CONTENT


async def test_a_download_survives_broken_connections(
    served: ArtifactServer, tmp_path: Path
) -> None:
    await served.store.put(CONTENT)
    target = tmp_path / "target"
    budgets = [1_500_000, 900_000]
    async with cutting_proxy(served.port, budgets) as (address, proxy):
        async with grpc.aio.insecure_channel(address, options=RECONNECT) as channel:
            await download(channel, NAME, target, policy=QUICK)
        assert proxy.cuts == len(budgets)
    assert target.read_bytes() == CONTENT
    assert names(tmp_path) == ["store", "target"]


async def test_a_cancelled_download_goes_on_where_it_stopped(
    served: ArtifactServer, tmp_path: Path
) -> None:
    await served.store.put(CONTENT)
    target = tmp_path / "target"
    first = asyncio.Event()

    task = asyncio.create_task(
        download(served.channel, NAME, target, on_progress=lambda *_: first.set())
    )
    await first.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not target.exists()
    (part,) = set(names(tmp_path)) - {"store"}
    kept = (tmp_path / part).stat().st_size
    assert 0 < kept <= len(CONTENT)
    received: list[int] = []
    await download(served.channel, NAME, target, on_progress=lambda done, _: received.append(done))
    assert target.read_bytes() == CONTENT
    assert all(done > kept for done in received)


async def test_a_garbled_part_of_a_download_is_thrown_away(
    served: ArtifactServer, tmp_path: Path
) -> None:
    await served.store.put(CONTENT)
    target = tmp_path / "target"
    hexadecimal = NAME.partition(":")[2]
    (tmp_path / f"target.{hexadecimal}.part").write_bytes(b"something else")
    await download(served.channel, NAME, target, policy=QUICK)
    assert target.read_bytes() == CONTENT


async def test_an_upload_that_another_began_with_other_bytes_still_succeeds(
    served: ArtifactServer, source: Path
) -> None:
    await served.store.append(digest_of(CONTENT), 0, b"these are not the bytes")
    assert (await upload(served.channel, source, policy=QUICK)).size_bytes == len(CONTENT)


async def test_two_uploads_of_one_file_at_once_both_succeed(
    served: ArtifactServer, source: Path
) -> None:
    artifacts = await asyncio.gather(
        *(upload(served.channel, source, policy=QUICK) for _ in range(3))
    )
    assert {artifact.name for artifact in artifacts} == {NAME}


async def test_a_server_that_comes_back_gets_the_rest(tmp_path: Path, source: Path) -> None:
    root = tmp_path / "store"
    started = asyncio.Event()
    patient = TransferPolicy(attempts=50, first_pause_seconds=0.05, longest_pause_seconds=0.1)
    async with serve_artifacts(root) as server:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=RECONNECT)
        task = asyncio.create_task(
            upload(channel, source, on_progress=lambda *_: started.set(), policy=patient)
        )
        await started.wait()
    async with serve_artifacts(root, port=server.port):
        assert (await task).name == NAME
    await channel.close()


async def test_an_unknown_artifact_cannot_be_downloaded(
    served: ArtifactServer, tmp_path: Path
) -> None:
    with pytest.raises(NotFound):
        await download(served.channel, NAME, tmp_path / "target", policy=QUICK)
    assert names(tmp_path) == ["store"]


class HidingServicer(ArtifactsServicer):
    """Answers a stream that fails as gRPC's asyncio client reports it while a chunk is stuck."""

    async def Write(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.WriteRequest], context: grpc.ServicerContext
    ) -> pb.WriteResponse:
        chunks = 0

        async def counted() -> AsyncIterator[pb.WriteRequest]:
            nonlocal chunks
            async for request in request_iterator:
                chunks += 1
                yield request

        try:
            return await super().Write(counted(), context)
        except ServiceError:
            if chunks > 1:
                await context.abort(grpc.StatusCode.INTERNAL, "Internal error from Core")
            raise


@pytest.mark.parametrize("kind", [ArtifactsServicer, HidingServicer])
@pytest.mark.parametrize("beyond", [1, LIMIT_BYTES])
async def test_a_refusal_in_the_middle_of_an_upload_reaches_the_client(
    tmp_path: Path, beyond: int, kind: type[ArtifactsServicer]
) -> None:
    async with serve_artifacts(tmp_path, kind=kind) as served:
        with pytest.raises(InvalidArgument) as caught:
            await upload(served.channel, bytes(LIMIT_BYTES + beyond), policy=QUICK)
        assert caught.value.reason_name == "ARTIFACT_TOO_LARGE"
        assert names(served.root / "partials") == []


async def test_attempts_end_when_nobody_answers(tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1", options=RECONNECT) as channel:
        for transfer in (
            upload(channel, b"bytes", policy=QUICK),
            download(channel, NAME, tmp_path / "target", policy=QUICK),
        ):
            with pytest.raises(Unavailable) as caught:
                await transfer
            assert caught.value.advice
    assert names(tmp_path) == []


async def test_damage_on_the_server_reaches_the_client_and_leaves_no_file(
    served: ArtifactServer, tmp_path: Path
) -> None:
    path = await served.store.path((await served.store.put(CONTENT)).digest)
    path.write_bytes(bytes(len(CONTENT)))
    with pytest.raises(DataLoss) as caught:
        await download(served.channel, NAME, tmp_path / "target", policy=QUICK)
    assert caught.value.reason_name == "DIGEST_MISMATCH"
    assert names(tmp_path) == ["store"]
