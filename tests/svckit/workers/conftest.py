"""A pool of one worker whose deaths are noted."""

from collections.abc import AsyncIterator

import pytest

from svckit.workers.pool import PoolSettings
from tests.helpers.worker_pools import NotedPool


@pytest.fixture
async def pool() -> AsyncIterator[NotedPool]:
    async with NotedPool(PoolSettings(size=1, queue=2)) as pool:
        yield pool
