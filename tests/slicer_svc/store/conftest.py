from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from slicer_svc.app import MIGRATIONS
from svckit.database import Database, open_database, upgrade


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'service.db'}")
    await upgrade(database, MIGRATIONS)
    yield database
    await database.close()
