from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from svckit.database import Database
from tests.helpers.operations import Rig, make_rig, open_with_tables


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_with_tables(tmp_path)
    yield database
    await database.close()


@pytest.fixture
def rig(database: Database) -> Rig:
    return make_rig(database)
