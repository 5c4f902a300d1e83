from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.tiny_pictures import write_tiny_cifar10


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures; origins that are trained on them are kept in `out`."""
    folder = tmp_path_factory.mktemp("market")
    write_tiny_cifar10(folder, train=15, test=10)
    return folder
