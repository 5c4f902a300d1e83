"""The chart as helm renders it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "deploy/helm/slice-and-pack"
TOOLS = ROOT / ".chart/bin"
OWN_PROFILES = ROOT / "tests/deploy/chart/values"

Manifest = Mapping[str, Any]

PROFILES: Mapping[str, tuple[Path, ...]] = {
    "default": (),
    "laptop": (CHART / "values-laptop.yaml",),
    "gpu": (CHART / "values-gpu.yaml",),
    "everything": (CHART / "values-gpu.yaml", OWN_PROFILES / "everything.yaml"),
    "bare": (OWN_PROFILES / "bare.yaml",),
}
"""Those that are shipped, one with every switch on, and one with every switch off."""


class RefusedError(Exception):
    """Helm does not render these values; its words say why."""


def helm(*arguments: object) -> str:
    """Runs helm and returns what it prints.

    Raises:
        RefusedError: It failed.
    """
    command = [str(TOOLS / "helm"), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise RefusedError(ended.stdout + ended.stderr)
    return ended.stdout


def render(
    values: Iterable[Path] = (),
    *settings: str,
    chart: Path = CHART,
    release: str = "market",
    namespace: str = "ml",
) -> str:
    """Returns the manifests as text.

    Args:
        values: Files with values.
        settings: Further ones, as `--set` takes them.
        chart: The chart's folder.
        release: The release's name.
        namespace: Where it goes.
    """
    files = [word for path in values for word in ("--values", path)]
    more = [word for setting in settings for word in ("--set", setting)]
    return helm("template", release, chart, "--namespace", namespace, *files, *more)


def manifests(text: str) -> list[Manifest]:
    """Returns the manifests of rendered text; helm's own rules of YAML refuse what occurs twice."""
    return [manifest for manifest in yaml.load_all(text, yaml.CSafeLoader) if manifest]
