"""Packs of which a stored byte was altered are not deployed, and not handed out."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc

from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.errors import reason_of
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packer_state import ROLES
from tests.helpers.processes import ServiceProcess
from tests.helpers.replica import Replica

HOW = ("altered", "cut", "lost")


def content(pack_id: str, role: str) -> bytes:
    """What `stock_packs` keeps."""
    return f'["{pack_id}", "{role}"]'.encode()


@pytest.fixture
async def own(own_packer: ServiceProcess) -> AsyncIterator[DeploymentsClient]:
    async with grpc.aio.insecure_channel(own_packer.address) as channel:
        found = DeploymentsClient(channel)
        yield found
        await found.delete_all()


@contextmanager
def spoilt(packer: ServiceProcess, content: bytes, how: str) -> Iterator[str]:
    """An artifact that is not what its name says, as long as the block lasts; gives its digest."""
    digits = hashlib.sha256(content).hexdigest()
    path: Path = packer.folder / "state" / "artifacts" / "objects" / digits[:2] / digits
    path.chmod(0o644)
    if how == "lost":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if how == "cut" else bytes([content[0] ^ 1]) + content[1:])
    try:
        yield f"sha256:{digits}"
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("role", ROLES)
async def test_a_pack_with_an_altered_file_is_not_deployed(
    own: DeploymentsClient, own_packer: ServiceProcess, name: str, role: str, how: str
) -> None:
    async with Replica(own.channel) as replica:
        with spoilt(own_packer, content("a", role), how) as digest:
            with pytest.raises(OperationFailedError) as failed:
                await own.create(name, "packs/a")
            seen = [one.name for state in replica.states for one in state.deployments]
        made = await own.create(name, "packs/a")

    assert (failed.value.code, failed.value.reason) == ("DATA_LOSS", "DIGEST_MISMATCH")
    assert failed.value.metadata["role"] == role
    assert failed.value.metadata["digest"] == digest
    assert f"deployments/{name}" not in seen, "a replica heard of it"
    assert made.pack == "packs/a"


async def test_a_switch_to_an_altered_pack_leaves_the_old_one_desired(
    own: DeploymentsClient, own_packer: ServiceProcess, name: str
) -> None:
    async with Replica(own.channel):
        await own.create(name, "packs/a")
        with spoilt(own_packer, content("b", "manifest"), "altered"):
            with pytest.raises(OperationFailedError) as failed:
                await own.switch(name, "packs/b")
            after = await own.get(name)
        switched = await own.switch(name, "packs/b")

    assert (failed.value.code, failed.value.reason) == ("DATA_LOSS", "DIGEST_MISMATCH")
    assert (after.pack, after.version) == ("packs/a", 1)
    assert switched.pack == "packs/b"


@pytest.mark.parametrize("role", ROLES)
async def test_an_altered_file_is_not_handed_out(
    own: DeploymentsClient, own_packer: ServiceProcess, role: str
) -> None:
    stub: artifacts_pb2_grpc.ArtifactsAsyncStub = artifacts_pb2_grpc.ArtifactsStub(own.channel)

    async def read(digest: str) -> bytes:
        request = artifacts_pb2.ReadRequest(name=f"artifacts/{digest}")
        return b"".join([chunk.data async for chunk in stub.Read(request)])

    with (
        spoilt(own_packer, content("c", role), "altered") as digest,
        pytest.raises(grpc.aio.AioRpcError) as failed,
    ):
        await read(digest)

    assert failed.value.code() is grpc.StatusCode.DATA_LOSS
    assert reason_of(failed.value) == "DIGEST_MISMATCH"
