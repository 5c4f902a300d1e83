"""Every profile is rendered once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.helpers.chart.rendering import PROFILES, render


@pytest.fixture(scope="session")
def rendered() -> Mapping[str, str]:
    """The manifests of every profile, as text."""
    return {name: render(files) for name, files in PROFILES.items()}


@pytest.fixture(scope="session")
def rendered_files(rendered: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file for each profile."""
    folder = tmp_path_factory.mktemp("rendered")
    for name, text in rendered.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder
