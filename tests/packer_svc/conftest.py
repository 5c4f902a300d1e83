"""A packer in a process of its own, with packs that nobody runs, and what a client does with it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest

from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.packer_process import packing_packer, stocked_packer
from tests.helpers.packs_client import PacksClient
from tests.helpers.processes import ServiceProcess
from tests.helpers.stocked_slicer import StockedSlicer, stocked_slicer


@pytest.fixture(scope="package")
def shared_packer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A packer for all tests that leave it as it was."""
    with stocked_packer(tmp_path_factory.mktemp("packer")).running() as process:
        yield process


@pytest.fixture(scope="module")
def own_packer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A packer that tests may kill and start again."""
    with stocked_packer(tmp_path_factory.mktemp("own-packer")).running() as process:
        yield process


@pytest.fixture
async def client(shared_packer: ServiceProcess) -> AsyncIterator[DeploymentsClient]:
    """A client of the shared packer, whose deployments are gone afterwards."""
    async with grpc.aio.insecure_channel(shared_packer.address) as channel:
        found = DeploymentsClient(channel)
        yield found
        await found.delete_all()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A deployment's id that no other test uses, since versions outlive deployments."""
    return f"d-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"


@pytest.fixture(scope="package")
def slicer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockedSlicer]:
    """A slicer with sliced models."""
    with stocked_slicer(tmp_path_factory.mktemp("slicer")) as found:
        yield found


@pytest.fixture(scope="package")
def market_packer(
    slicer: StockedSlicer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """A packer beside the slicer, for all tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("market-packer")
    with packing_packer(folder, slicer.process.address).running() as process:
        yield process


@pytest.fixture
async def packs(market_packer: ServiceProcess) -> AsyncIterator[PacksClient]:
    """A client of the packer beside the slicer."""
    async with grpc.aio.insecure_channel(market_packer.address) as channel:
        yield PacksClient(channel)
