"""Models that lack a specification get one, and the start does not wait for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sliceandpack.slicer.v1 import models_pb2, search_pb2_grpc
from sliceandpack.slicer.v1 import search_pb2 as pb

from svckit.clients.patience import answer
from tests.helpers.processes import ServiceProcess
from tests.helpers.slicer import SlicerClient, slicer_client, until
from tests.helpers.submissions import MLP, submission
from tests.helpers.tasks import blob_task

NAMES = ("north", "east", "west")


@pytest.fixture
def process(tmp_path: Path) -> ServiceProcess:
    return ServiceProcess("slicer_svc", tmp_path)


async def get(client: SlicerClient, name: str) -> models_pb2.Model:
    found: models_pb2.Model = await client.call("GetModel", models_pb2.GetModelRequest(name=name))
    return found


async def specified(client: SlicerClient, name: str) -> models_pb2.Model:
    """Waits until something is known of a model's specification."""

    async def known() -> bool:
        return (await get(client, name)).HasField("specification")

    await until(known)
    return await get(client, name)


async def found(client: SlicerClient) -> list[str]:
    request = pb.SearchModelsRequest(task=blob_task(NAMES))
    answered = await answer(search_pb2_grpc.SearchStub(client.channel).SearchModels(request))
    return [one.model for one in answered.models]


def change(process: ServiceProcess, statement: str) -> None:
    with closing(sqlite3.connect(process.folder / "state" / "service.db")) as database:
        database.execute(statement)
        database.commit()


def held(process: ServiceProcess) -> int:
    """How many specifications are held."""
    statement = "SELECT count(*) FROM artifact_references WHERE role = 'specification'"
    with closing(sqlite3.connect(process.folder / "state" / "service.db")) as database:
        count: int = database.execute(statement).fetchone()[0]
    return count


async def stock(process: ServiceProcess) -> models_pb2.Model:
    """Submits a model that can be specified, and one that cannot."""
    with process.running():
        async with slicer_client(process.address) as client:
            await client.submit(submission(MLP, per_class=3), "meagre")
            return await client.submit(submission(MLP, per_class=12), "rich")


async def test_models_from_before_there_were_specifications_get_theirs(
    process: ServiceProcess,
) -> None:
    before = await stock(process)
    change(process, "DELETE FROM specifications")
    with process.running():
        async with slicer_client(process.address) as client:
            assert await specified(client, "models/rich") == before
            assert (await specified(client, "models/meagre")).specification.missing
            assert await found(client) == ["models/rich"]


async def test_specifications_of_another_version_are_made_anew(process: ServiceProcess) -> None:
    before = await stock(process)
    change(process, "UPDATE specifications SET version = 0")
    with process.running():
        async with slicer_client(process.address) as client:

            async def current() -> bool:
                return (await get(client, "models/rich")).specification == before.specification

            await until(current)
            assert await found(client) == ["models/rich"]


async def test_a_specification_that_was_lost_is_made_anew(process: ServiceProcess) -> None:
    before = await stock(process)
    digest = before.specification.artifact.name.removeprefix("artifacts/sha256:")
    (path,) = (process.folder / "state" / "artifacts").rglob(f"*{digest}*")
    path.chmod(0o600)
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    with process.running():
        async with slicer_client(process.address) as client:

            async def found_again() -> bool:
                return await found(client) == ["models/rich"]

            await until(found_again)
            assert (await get(client, "models/rich")).specification == before.specification


async def test_a_deleted_model_lets_go_of_its_specification(process: ServiceProcess) -> None:
    await stock(process)
    assert held(process) == 1
    with process.running():
        async with slicer_client(process.address) as client:
            request = models_pb2.DeleteModelRequest(name="models/rich")
            await client.call("DeleteModel", request)
            assert await found(client) == []
    assert held(process) == 0
