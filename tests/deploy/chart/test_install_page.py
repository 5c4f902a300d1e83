"""The manifest that docs/install.md gives for backups fits what the chart makes."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.helpers.chart.parts import containers, of_kind, selected
from tests.helpers.chart.pods import resource_faults, security_faults
from tests.helpers.chart.rendering import ROOT, TOOLS, Manifest, manifests

pytestmark = pytest.mark.chart

PAGE = ROOT / "docs/install.md"


@pytest.fixture(scope="module")
def job() -> Manifest:
    """The manifest, as it stands on the page."""
    blocks = PAGE.read_text().split("```yaml\n")[1:]
    (block,) = (each for each in blocks if "kind: Job" in each)
    found: Manifest = yaml.safe_load(block.partition("```")[0])
    return found


def test_every_kubernetes_takes_it(job: Manifest, tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    command = [TOOLS / "python", ROOT / "deploy/helm/check/schemas.py", path]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_it_has_no_rights_and_an_end(job: Manifest) -> None:
    # Jobs are no workloads of the chart: it is looked at as the pod that it makes.
    pod = {"kind": "Pod", "metadata": job["metadata"], **job["spec"]["template"]}
    assert [*security_faults([pod]), *resource_faults([pod])] == []


def test_it_reads_the_volume_of_the_pod_that_it_runs_beside(
    job: Manifest, rendered: Mapping[str, str]
) -> None:
    found = manifests(rendered["default"])
    spec = job["spec"]["template"]["spec"]
    claims = {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in spec["volumes"]}
    assert claims["state"] in {
        each["metadata"]["name"] for each in of_kind(found, "PersistentVolumeClaim")
    }
    (affinity,) = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (slicer,) = selected(of_kind(found, "Deployment"), affinity["labelSelector"])
    state = slicer["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]
    assert state["claimName"] == claims["state"]
    assert spec["securityContext"]["runAsUser"] == _user(slicer)
    (container,) = spec["containers"]
    assert container["image"].rpartition("/")[2] == _image(slicer)


def _user(workload: Manifest) -> int:
    user: int = workload["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    return user


def _image(workload: Manifest) -> str:
    image: str = containers(workload)[0]["image"]
    return image.rpartition("/")[2]
