"""One slicer for all tests that do not hurt it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.helpers.processes import ServiceProcess
from tests.helpers.slicer import SlicerClient, slicer_client, slicer_process


@pytest.fixture(scope="session")
def slicer_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A slicer that runs for the whole session."""
    with slicer_process(tmp_path_factory.mktemp("slicer")) as process:
        yield process


@pytest.fixture
async def slicer(slicer_server: ServiceProcess) -> AsyncIterator[SlicerClient]:
    """A client of that slicer."""
    async with slicer_client(slicer_server.address) as client:
        yield client
