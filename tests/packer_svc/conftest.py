"""A packer in a process of its own, with packs that nobody runs, and what a client does with it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.packer_state import stock_packs
from tests.helpers.packs_client import PacksClient
from tests.helpers.processes import ServiceProcess
from tests.helpers.stocked_slicer import StockedSlicer, stock

PACKS = {"a": ("one", "two"), "b": ("one", "two"), "c": ("one", "two"), "other": ("one", "three")}
QUICK = ("--replica-seconds", "1", "--ready-seconds", "4", "--drain-seconds", "1")


def serving_packer(folder: Path) -> ServiceProcess:
    """Returns a packer that has packs and is not started yet."""
    asyncio.run(stock_packs(folder / "state", PACKS))
    return ServiceProcess("packer_svc", folder, QUICK)


@pytest.fixture(scope="package")
def shared_packer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A packer for all tests that leave it as it was."""
    process = serving_packer(tmp_path_factory.mktemp("packer"))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def own_packer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A packer that tests may kill and start again."""
    process = serving_packer(tmp_path_factory.mktemp("own-packer"))
    process.start()
    yield process
    process.stop()


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
    found = stock(tmp_path_factory.mktemp("slicer"))
    yield found
    found.process.stop()


def packing_packer(folder: Path, slicer_address: str) -> ServiceProcess:
    """Returns a packer that is not started yet."""
    slicer = json.dumps({"address": slicer_address})
    return ServiceProcess("packer_svc", folder, ["--slicer", slicer, "--drain-seconds", "1"])


@pytest.fixture(scope="package")
def market_packer(
    slicer: StockedSlicer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceProcess]:
    """A packer beside the slicer, for all tests that leave it as it was."""
    process = packing_packer(tmp_path_factory.mktemp("market-packer"), slicer.process.address)
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def packs(market_packer: ServiceProcess) -> AsyncIterator[PacksClient]:
    """A client of the packer beside the slicer."""
    async with grpc.aio.insecure_channel(market_packer.address) as channel:
        yield PacksClient(channel)
