"""One Triton for all tests of a session; each test has a model name of its own."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from serving.client import TritonClient
from serving.embedded.server import EmbeddedTriton
from serving.repository import ModelRepository
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
