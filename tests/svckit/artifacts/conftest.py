"""A loopback server with the Artifacts service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.helpers.artifact_server import ArtifactServer, serve_artifacts


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[ArtifactServer]:
    async with serve_artifacts(tmp_path / "store") as server:
        yield server
