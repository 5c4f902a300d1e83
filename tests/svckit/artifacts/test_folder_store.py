"""The store of a folder: what it keeps, what it refuses, and what it leaves behind."""

import asyncio
import errno
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.artifacts.digests import digest_from_name, digest_of
from svckit.artifacts.folder import FolderArtifactStore
from svckit.artifacts.store import CHUNK_BYTES, ArtifactStore
from svckit.errors import DataLoss, InvalidArgument, NotFound, OutOfRange, ResourceExhausted

CONTENT = os.urandom(3 * CHUNK_BYTES // 2)
DIGEST = digest_of(CONTENT)


@pytest.fixture
def store(tmp_path: Path) -> FolderArtifactStore:
    return FolderArtifactStore(tmp_path, max_bytes=4 * CHUNK_BYTES)


async def read(store: ArtifactStore, digest: str, offset: int = 0, limit: int = 0) -> bytes:
    return b"".join([chunk async for chunk in store.read(digest, offset, limit)])


def files(root: Path) -> list[str]:
    """Everything in the store but its lock."""
    found = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return sorted(str(path.relative_to(root)) for path in found)


def damage(root: Path) -> None:
    """Changes one byte of the only stored artifact, as a bad disk would."""
    (path,) = (root / "objects").rglob("*/*")
    with path.open("r+b") as file:
        file.seek(10)
        file.write(bytes([CONTENT[10] ^ 1]))


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    for piece in content:
        yield piece


async def test_what_was_put_comes_back(store: FolderArtifactStore) -> None:
    artifact = await store.put(CONTENT)
    assert (artifact.digest, artifact.size_bytes) == (DIGEST, len(CONTENT))
    assert await read(store, DIGEST) == CONTENT
    assert (await store.path(DIGEST)).read_bytes() == CONTENT
    assert await store.stat(DIGEST) == artifact


async def test_an_artifact_may_be_empty(store: FolderArtifactStore) -> None:
    artifact = await store.put(b"")
    assert await read(store, artifact.digest) == b""


async def test_chunks_and_files_give_the_same_artifact(
    store: FolderArtifactStore, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    assert (await store.put(pieces(CONTENT[:7], b"", CONTENT[7:]))).digest == DIGEST
    assert (await store.put_file(source)).digest == DIGEST
    assert source.exists()


@pytest.mark.parametrize(("offset", "limit"), [(0, 5), (5, 0), (CHUNK_BYTES - 1, 2), (9, 10**9)])
async def test_a_part_can_be_read(store: FolderArtifactStore, offset: int, limit: int) -> None:
    await store.put(CONTENT)
    expected = CONTENT[offset : offset + limit if limit else None]
    assert await read(store, DIGEST, offset, limit) == expected


async def test_a_read_at_the_end_is_empty_and_one_behind_it_is_refused(
    store: FolderArtifactStore,
) -> None:
    await store.put(CONTENT)
    assert await read(store, DIGEST, len(CONTENT)) == b""
    with pytest.raises(OutOfRange) as caught:
        await read(store, DIGEST, len(CONTENT) + 1)
    assert caught.value.metadata == {"size_bytes": str(len(CONTENT))}


async def test_unknown_artifacts_are_not_found(store: FolderArtifactStore) -> None:
    for ask in (store.stat(DIGEST), store.path(DIGEST), read(store, DIGEST), store.finish(DIGEST)):
        with pytest.raises(NotFound):
            await ask
    assert not await store.touch(DIGEST)


async def test_bytes_with_another_digest_are_refused_and_dropped(
    store: FolderArtifactStore, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await store.put(b"other bytes", DIGEST)
    assert caught.value.reason == pb.ERROR_REASON_DIGEST_MISMATCH
    await store.append(DIGEST, 0, b"other bytes")
    with pytest.raises(InvalidArgument) as caught:
        await store.finish(DIGEST)
    assert caught.value.metadata == {"expected": DIGEST, "actual": digest_of(b"other bytes")}
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        "artifacts/sha256:../../../etc/passwd",
        "artifacts/sha256:" + "a" * 63,
        "artifacts/sha256:" + "A" * 64,
        "artifacts/sha256:" + "a" * 64 + "\n",
        "artifacts/md5:" + "a" * 64,
        "sha256:" + "a" * 64,
        "../artifacts/sha256:" + "a" * 64,
        "artifacts/sha256:" + "/" * 64,
        "",
    ],
)
async def test_no_name_leads_out_of_the_store(
    store: FolderArtifactStore, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InvalidArgument):
        digest_from_name(name)
    with pytest.raises(InvalidArgument):
        await store.append(name.removeprefix("artifacts/") + "/", 0, b"x")
    assert files(tmp_path) == []


async def test_an_upload_goes_on_after_a_restart(
    store: FolderArtifactStore, tmp_path: Path
) -> None:
    await store.append(DIGEST, 0, CONTENT[:1000])
    again = FolderArtifactStore(tmp_path)
    state = await again.write_state(DIGEST)
    assert (state.committed_size, state.complete) == (1000, False)
    await again.append(DIGEST, 1000, CONTENT[1000:])
    assert (await again.finish(DIGEST)).size_bytes == len(CONTENT)
    state = await again.write_state(DIGEST)
    assert (state.committed_size, state.complete) == (len(CONTENT), True)
    assert await read(store, DIGEST) == CONTENT


async def test_a_chunk_that_leaves_a_gap_is_refused(store: FolderArtifactStore) -> None:
    with pytest.raises(OutOfRange) as caught:
        await store.append(DIGEST, 1, b"x")
    assert caught.value.metadata == {"committed_size": "0"}
    await store.append(DIGEST, 0, CONTENT[:10])
    with pytest.raises(OutOfRange) as caught:
        await store.append(DIGEST, 11, CONTENT[11:20])
    assert caught.value.reason == pb.ERROR_REASON_WRITE_OFFSET_INVALID
    assert caught.value.metadata == {"committed_size": "10"}


async def test_two_uploads_of_one_artifact_go_on_side_by_side(
    store: FolderArtifactStore, tmp_path: Path
) -> None:
    other = FolderArtifactStore(tmp_path)

    async def write(target: FolderArtifactStore, step: int) -> None:
        for offset in range(0, len(CONTENT), step):
            state = await target.append(DIGEST, offset, CONTENT[offset : offset + step])
            if state.complete:
                break
        assert (await target.finish(DIGEST)).size_bytes == len(CONTENT)

    await asyncio.gather(write(store, 65_537), write(other, 40_000), write(store, 100_003))
    assert await read(store, DIGEST) == CONTENT
    assert len(files(tmp_path)) == 1


async def test_an_artifact_above_the_limit_leaves_nothing(
    store: FolderArtifactStore, tmp_path: Path
) -> None:
    piece = bytes(CHUNK_BYTES)
    digest = digest_of(piece * 5)
    for offset in range(0, 4 * CHUNK_BYTES, CHUNK_BYTES):
        await store.append(digest, offset, piece)
    for attempt in (store.append(digest, 4 * CHUNK_BYTES, b"x"), store.put(piece * 5)):
        with pytest.raises(InvalidArgument) as caught:
            await attempt
        assert caught.value.reason == pb.ERROR_REASON_ARTIFACT_TOO_LARGE
    assert files(tmp_path) == []


async def test_a_cancelled_put_leaves_nothing(store: FolderArtifactStore, tmp_path: Path) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield CONTENT[:1000]
        started.set()
        await asyncio.Event().wait()

    put = asyncio.create_task(store.put(endless()))
    await started.wait()
    assert len(files(tmp_path)) == 1
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    assert files(tmp_path) == []


async def test_a_whole_read_of_damaged_bytes_fails_at_its_end_and_they_can_be_uploaded_again(
    store: FolderArtifactStore, tmp_path: Path
) -> None:
    await store.put(CONTENT)
    assert await read(store, DIGEST) == CONTENT
    damage(tmp_path)
    with pytest.raises(DataLoss) as caught:
        await read(store, DIGEST)
    assert caught.value.reason == pb.ERROR_REASON_DIGEST_MISMATCH
    assert not (await store.write_state(DIGEST)).complete
    with pytest.raises(NotFound):
        await read(store, DIGEST)
    await store.put(CONTENT)
    assert await read(store, DIGEST) == CONTENT


async def test_damage_is_found_before_a_part_or_a_path_is_given_out(
    store: FolderArtifactStore, tmp_path: Path
) -> None:
    await store.put(CONTENT)
    await store.path(DIGEST)  # The verified file changes afterwards: that is seen.
    damage(tmp_path)
    with pytest.raises(DataLoss):
        await read(store, DIGEST, 0, 5)
    await store.put(CONTENT)
    assert await read(store, DIGEST, 0, 5) == CONTENT[:5]
    damage(tmp_path)
    with pytest.raises(DataLoss):
        await store.path(DIGEST)


async def test_a_file_cut_short_is_damage(store: FolderArtifactStore, tmp_path: Path) -> None:
    await store.put(CONTENT)
    (path,) = (tmp_path / "objects").rglob("*/*")
    os.truncate(path, 100)
    with pytest.raises(DataLoss):
        await read(store, DIGEST)


async def test_a_read_goes_on_while_its_artifact_is_deleted(store: FolderArtifactStore) -> None:
    await store.put(CONTENT)
    chunks = store.read(DIGEST)
    got = await anext(chunks)
    assert await store.delete_unused(DIGEST, time.time() + 10)
    assert got + b"".join([chunk async for chunk in chunks]) == CONTENT
    with pytest.raises(NotFound):
        await store.stat(DIGEST)


async def test_an_artifact_used_since_is_not_deleted(
    store: FolderArtifactStore, tmp_path: Path
) -> None:
    path = await store.path((await store.put(CONTENT)).digest)
    os.utime(path, (1000.0, 1000.0))
    assert [artifact.used_at for artifact in await store.list()] == [1000.0]
    assert not await store.delete_unused(DIGEST, 1000.0)
    assert await store.touch(DIGEST)
    assert not await store.delete_unused(DIGEST, time.time() - 60)
    os.utime(path, (1000.0, 1000.0))
    assert await store.delete_unused(DIGEST, time.time() - 60)
    assert await store.delete_unused(DIGEST, time.time() - 60), "a second time is no fault"
    assert files(tmp_path) == []


async def test_leftovers_are_swept_only_once_they_are_old(
    store: FolderArtifactStore, tmp_path: Path
) -> None:
    await store.append(DIGEST, 0, CONTENT[:10])
    (tmp_path / "incoming" / "of-a-crash").write_bytes(b"half")
    assert await store.sweep_leftovers(time.time() - 60) == 0
    assert (await store.write_state(DIGEST)).committed_size == 10
    assert await store.sweep_leftovers(time.time() + 60) == 2
    assert (await store.write_state(DIGEST)).committed_size == 0
    assert files(tmp_path) == []


@pytest.fixture(params=["tmpfs", "failing_writes"])
def full_disk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder with room for about 1 MiB: a real small file system, or writes that fail."""
    root = tmp_path / "small"
    root.mkdir()
    if request.param == "tmpfs":
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)]
        if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
            pytest.skip("only root may mount a small file system")
        try:
            yield root
        finally:
            # Lazily: a failing test may still hold a file of it open.
            subprocess.run(["umount", "-l", str(root)], check=True)
        return
    real = os.pwrite

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        if offset + len(data) > 2**20:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    yield root


async def test_a_full_disk_keeps_nothing_and_is_no_end(full_disk: Path) -> None:
    store = FolderArtifactStore(full_disk)
    await store.append(DIGEST, 0, CONTENT[: CHUNK_BYTES // 2])
    for attempt in (
        store.append(DIGEST, CHUNK_BYTES // 2, CONTENT[CHUNK_BYTES // 2 :]),
        store.put(CONTENT),
    ):
        with pytest.raises(ResourceExhausted) as caught:
            await attempt
        assert caught.value.reason == pb.ERROR_REASON_STORAGE_FULL
        assert files(full_disk) == []
    assert (await store.write_state(DIGEST)).committed_size == 0
    small = await store.put(CONTENT[:1000])
    assert await read(store, small.digest) == CONTENT[:1000]
