"""Every profile renders to what Kubernetes takes, and to what fits together."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from packer_svc.settings import PackerSettings
from serving.reconciler.settings import ReconcilerSettings
from slicer_svc.settings import SlicerSettings
from svckit.settings import ServerSettings
from tests.helpers.chart.faults import faults
from tests.helpers.chart.naming import foreign_references
from tests.helpers.chart.parts import containers, of_kind, settings_of, strings, title
from tests.helpers.chart.rendering import (
    CHART,
    PROFILES,
    ROOT,
    TOOLS,
    Manifest,
    helm,
    manifests,
    render,
)

pytestmark = pytest.mark.chart

CHECK = ROOT / "deploy/helm/check"
SETTINGS: Mapping[str, type[ServerSettings]] = {
    "slicer": SlicerSettings,
    "packer": PackerSettings,
    "reconciler": ReconcilerSettings,
}


@pytest.mark.parametrize("profile", PROFILES)
def test_helm_finds_nothing_to_say_about_a_profile(profile: str) -> None:
    files = [word for path in PROFILES[profile] for word in ("--values", path)]
    helm("lint", "--strict", CHART, *files)


def test_every_kubernetes_from_1_29_to_1_37_takes_every_manifest(rendered_files: Path) -> None:
    command = [TOOLS / "python", CHECK / "schemas.py", *sorted(rendered_files.iterdir())]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("profile", PROFILES)
def test_the_manifests_of_a_profile_fit_each_other(
    profile: str, rendered: Mapping[str, str]
) -> None:
    assert faults(manifests(rendered[profile])) == []


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_not_of_the_release_is_named_in_the_values(
    profile: str, rendered: Mapping[str, str]
) -> None:
    values = "\n".join(path.read_text() for path in PROFILES[profile])
    for kind, name in foreign_references(manifests(rendered[profile])):
        assert re.search(rf"\b{re.escape(name)}\b", values), f"{kind}/{name} is nowhere"


@pytest.mark.parametrize("profile", ["gpu", "everything"])
def test_a_release_knows_no_other_release_and_no_other_namespace(profile: str) -> None:
    found = manifests(render(PROFILES[profile], release="zebra", namespace="elsewhere"))
    assert {each["metadata"]["namespace"] for each in found} == {"elsewhere"}
    assert faults(found) == []
    for text in (word for manifest in found for word in strings(manifest)):
        assert not re.search(r"\b(market(?!-operators)|ml)\b", text), text


def test_the_time_to_start_is_what_is_written_beside_it() -> None:
    """A probe's comment says how often, every how many seconds, and how long that is in all."""
    for path in sorted((CHART / "templates").rglob("*.yaml")):
        lines = path.read_text().splitlines()
        for place in (number for number, line in enumerate(lines) if "startupProbe:" in line):
            said = re.findall(r"# (\d+) x (\d+) s = (\d+) s", "\n".join(lines[place - 3 : place]))
            probe = yaml.safe_load("\n".join(line for line in lines[place + 2 : place + 5]))
            times, period = probe["failureThreshold"], probe["periodSeconds"]
            assert said == [(str(times), str(period), str(times * period))], path


@pytest.mark.parametrize(
    "release",
    ["m", "r" * 53, "a-release.with.dots", "1-that-begins-with-a-number", "slice-and-pack"],
)
def test_every_name_of_a_release_makes_valid_names(release: str) -> None:
    found = manifests(render(PROFILES["everything"], release=release))
    assert faults(found) == []


def test_two_long_releases_have_no_name_in_common() -> None:
    one, other = (set(map(title, manifests(render(release="r" * 52 + end)))) for end in "ab")
    assert not one & other


@pytest.mark.parametrize("profile", PROFILES)
def test_every_setting_is_one_that_the_process_takes(
    profile: str, rendered: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = manifests(rendered[profile])
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        for container in containers(workload):
            if container["name"] not in SETTINGS:
                continue
            settings = SETTINGS[container["name"]]
            prefix = settings.model_config["env_prefix"]
            given = _all_settings(workload, container, found, prefix)
            with monkeypatch.context() as environment:
                for name, value in given.items():
                    environment.setenv(name, value)
                taken = settings(_cli_parse_args=False)  # type: ignore[call-arg]  # pydantic's own.
            names = {name.removeprefix(prefix).partition("__")[0].lower() for name in given}
            assert names == taken.model_fields_set


def test_what_checkov_finds_is_listed_with_a_reason(rendered_files: Path) -> None:
    command = [str(ROOT / ".checkov/bin/checkov"), "--directory", str(rendered_files)]
    more = ["--framework", "kubernetes", "--skip-download", "--output", "json", "--quiet"]
    ended = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
    report = json.loads(ended.stdout)
    assert report["summary"]["passed"] > 500
    assert report["summary"]["parsing_errors"] == 0
    listed = _exceptions()
    found = {
        (failed["check_id"], failed["resource"].partition(".")[0])
        for failed in report["results"]["failed_checks"]
    }
    unlisted = {each for each in found if not {each, (each[0], "*")} & listed}
    assert not unlisted
    idle = {
        (check, kind) for check, kind in listed if not {each for each in found if each[0] == check}
    }
    assert not idle, "exceptions that nothing needs any more"


def _exceptions() -> set[tuple[str, str]]:
    found = set()
    for line in (CHECK / "policy-exceptions.txt").read_text().splitlines():
        if not line.startswith("#"):
            check, kind, reason = line.split("  ", 2)
            assert len(reason) > 20
            found.add((check, kind))
    return found


def _all_settings(
    workload: Manifest, container: Manifest, found: Sequence[Manifest], prefix: str
) -> dict[str, Any]:
    """The settings of a container; what comes from references gets a value that would do."""
    given = settings_of(workload, container, found)
    for variable in container["env"]:
        if "valueFrom" in variable:
            given[variable["name"]] = "from-a-reference"
    return {name: value for name, value in given.items() if name.startswith(prefix)}
