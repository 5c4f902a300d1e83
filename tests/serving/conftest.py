"""One Triton for all tests of a session; each test has a model name of its own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from serving.client import TritonClient
from serving.embedded.server import EmbeddedTriton
from serving.repository import ModelRepository
from tests.helpers.packer import FakePacker, serving_packer
from tests.helpers.reconciler import World, beside, running_reconciler
from tests.helpers.triton import running_triton

_numbers = itertools.count()


@pytest.fixture(scope="session")
def _served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[EmbeddedTriton, ModelRepository]]:
    root = tmp_path_factory.mktemp("triton")
    repository = ModelRepository(root)
    with repository.opened(), running_triton(root) as running:
        yield running.triton, repository


@pytest.fixture
def triton(_served: tuple[EmbeddedTriton, ModelRepository]) -> EmbeddedTriton:
    return _served[0]


@pytest.fixture
def repository(_served: tuple[EmbeddedTriton, ModelRepository]) -> ModelRepository:
    return _served[1]


@pytest.fixture
async def client(triton: EmbeddedTriton) -> AsyncIterator[TritonClient]:
    async with TritonClient(triton.grpc_address, secret=triton.secret) as client:
        yield client


@pytest.fixture
async def name(client: TritonClient) -> AsyncIterator[str]:
    """A model name that no other test uses; unloaded at the end."""
    name = f"model-{next(_numbers)}"
    yield name
    await client.unload(name)


@pytest.fixture(scope="session")
def bare_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    """A Triton whose repository is the reconcilers'."""
    with running_triton(tmp_path_factory.mktemp("reconciled")) as running:
        yield running.triton


@pytest.fixture
async def world(bare_triton: EmbeddedTriton) -> AsyncIterator[World]:
    """Packer and Triton, without a reconciler; what it leaves behind is cleared away."""
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    repository = ModelRepository(bare_triton.options.models.parent)
    async with (
        serving_packer(packer) as address,
        TritonClient(bare_triton.grpc_address, secret=bare_triton.secret) as client,
    ):
        yield World(packer, address, bare_triton, client, repository)
        with repository.opened():
            for name in repository.names():
                await client.unload(name)
                repository.remove(name)


@pytest.fixture
async def reconciled(world: World) -> AsyncIterator[World]:
    """The same with a reconciler."""
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        yield world


@pytest.fixture
def deployment() -> str:
    """A name that no other test uses."""
    return f"deployment-{next(_numbers)}"
