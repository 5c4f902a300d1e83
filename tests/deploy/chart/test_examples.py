"""What the documents show can be typed in: values render, and Kubernetes takes the manifests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.helpers.chart.faults import faults
from tests.helpers.chart.rendering import CHART, PROFILES, ROOT, TOOLS, manifests, render

pytestmark = pytest.mark.chart

PAGES = ("docs/install.md", "docs/runbook.md", "docs/metrics.md", "docs/deploy-images.md")
BLOCKS = [
    (page, block)
    for page in PAGES
    for block in re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.S)
]
KEYS = set(yaml.safe_load((CHART / "values.yaml").read_text()))
VALUES = [block for _, block in BLOCKS if set(yaml.safe_load(block)) <= KEYS]


def test_there_are_examples_of_values() -> None:
    assert len(VALUES) >= 4


@pytest.mark.parametrize("block", VALUES, ids=lambda block: block.split(":")[0])
def test_values_of_the_documents_render_to_what_fits(block: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(block)
    found = manifests(render([*PROFILES["gpu"], file]))
    assert faults(found) == []


def test_manifests_of_the_documents_are_what_kubernetes_takes(tmp_path: Path) -> None:
    own = [block for _, block in BLOCKS if {"apiVersion", "kind"} <= set(yaml.safe_load(block))]
    core = [block for block in own if "." not in yaml.safe_load(block)["apiVersion"]]
    assert core
    file = tmp_path / "examples.yaml"
    file.write_text("\n---\n".join(core))
    command = [TOOLS / "python", ROOT / "deploy/helm/check/schemas.py", file]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("page", [*PAGES, "deploy/helm/slice-and-pack/README.md"])
def test_values_that_are_named_in_a_text_exist(page: str) -> None:
    """`triton.gpu.count` and the like, as words in backquotes."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    named = re.findall(rf"`((?:{'|'.join(KEYS)})(?:\.\w+)+)(?=[`:=])", (ROOT / page).read_text())
    for path in set(named) - {"tls.crt", "tls.key"}:
        place = values
        for part in path.split("."):
            assert isinstance(place, dict), f"{path} is no value"
            assert part in place, f"{path} is no value"
            place = place[part]
