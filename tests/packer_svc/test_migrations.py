"""The migrations make the tables that the code works with."""

from __future__ import annotations

from pathlib import Path

from packer_svc.app import MIGRATIONS
from packer_svc.store.tables import Base
from tests.helpers.migrations import differences


async def test_migrations_and_tables_agree(tmp_path: Path) -> None:
    assert await differences(tmp_path, MIGRATIONS, Base.metadata) == []
