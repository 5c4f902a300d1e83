"""What the laptop profile renders, run as containers: rights, probes, and the walk of helm test."""

from __future__ import annotations

import sys
import time

import pytest

from tests.helpers.containers import docker
from tests.helpers.release.release import Release

pytestmark = [pytest.mark.container, pytest.mark.timeout(300)]

SERVICES = ("slicer", "packer", "reconciler", "triton")


def test_every_probe_passes_once_the_release_is_up(release: Release) -> None:
    waiting = {
        (name, *place): probe
        for name, pod in release.pods.items()
        for place, probe in pod.probes().items()
    }
    assert len(waiting) == 3 * len(SERVICES)
    deadline = time.monotonic() + 30
    while waiting and time.monotonic() < deadline:
        waiting = {at: each for at, each in waiting.items() if not each[0].passes(each[1])}
    assert not waiting


def test_the_pod_of_helm_test_walks_through(release: Release) -> None:
    code, log = release.run_test()
    sys.stderr.write(log)
    assert code == 0, log
    assert "\nAll of it works" in log


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_rights_and_writes_to_its_volumes_alone(
    release: Release, service: str
) -> None:
    container = release.container(service)
    status = dict(
        line.split(":", 1) for line in container.execute("cat", "/proc/1/status").splitlines()
    )
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["Uid"].split() == ["10001"] * 4
    assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")
    writable = {"/tmp"} | ({"/dev/shm"} if service == "triton" else {"/var/lib/slice-and-pack"})
    for folder in ("/tmp", "/dev/shm", "/var/lib/slice-and-pack", "/opt", "/etc"):
        attempt = ("exec", container.name, "touch", f"{folder}/attempt")
        wrote = docker(*attempt, check=False).returncode == 0
        assert wrote == (folder in writable | {"/dev/shm"}), folder
