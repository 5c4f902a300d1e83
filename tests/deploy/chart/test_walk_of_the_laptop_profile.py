"""What the laptop profile renders, run as processes: settings, probes, the walk of helm test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.availability.ports import free_port
from serving.embedded.backends import assemble_backends
from tests.helpers.chart.parts import WORKLOADS, containers, of_kind, settings_of, title
from tests.helpers.chart.rendering import PROFILES, ROOT, Manifest, manifests, render
from tests.helpers.triton import triton_environment

pytestmark = [pytest.mark.chart, pytest.mark.timeout(300)]

SECRET = "a-word-that-only-the-reconciler-knows"
MODULES = {"slicer": "slicer_svc", "packer": "packer_svc", "reconciler": "serving.reconciler"}
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
STATE = "/var/lib/slice-and-pack"


@dataclass
class Cluster:
    """The containers of a release as processes of this machine, each with addresses of its own.

    Attributes:
        folder: Their state.
        found: The manifests.
        ports: A free port for each pair of pod and port.
        processes: Those that run, by container.
    """

    folder: Path
    found: Sequence[Manifest]
    ports: dict[tuple[str, int], int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def pods(self) -> Iterator[tuple[str, Manifest, Manifest]]:
        """Yields pod, workload and container."""
        for workload in of_kind(self.found, *WORKLOADS):
            for container in containers(workload):
                yield workload["metadata"]["name"].rpartition("-")[2], workload, container

    def text(self, pod: str, text: str) -> str:
        """A setting or an argument as it has to be on this machine."""
        for number in (7101, 7102, 7103, 7180, 7190, 8000, 8001, 8002):
            target = pod
            for name in ("slicer", "packer", "triton"):
                target = name if f"-{name}:{number}" in text else target
            port = self.ports.setdefault((target, number), free_port())
            for host in (f"market-slice-and-pack-{target}", "0.0.0.0", "127.0.0.1"):
                text = text.replace(f"{host}:{number}", f"127.0.0.1:{port}")
            text = text.replace(f"-port={number}", f"-port={port}")
        text = text.replace("$(TRITON_SECRET)", SECRET).replace("=0.0.0.0", "=127.0.0.1")
        return text.replace(STATE, str(self.folder / pod))

    def variables(self, pod: str, workload: Manifest, container: Manifest) -> dict[str, str]:
        """The environment of a container."""
        given = settings_of(workload, container, self.found)
        given["HOME"] = str(self.folder)
        if container["name"] == "reconciler":
            given |= {"RECONCILER_REPLICA": "triton-0", "RECONCILER_TRITON_SECRET": SECRET}
        inherited = {
            name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ
        }
        return {**inherited, **{name: self.text(pod, value) for name, value in given.items()}}

    def start(self, pod: str, workload: Manifest, container: Manifest) -> None:
        """Starts a container and waits for its startup probe."""
        name = container["name"]
        (self.folder / pod).mkdir(exist_ok=True)
        if name == "triton":
            environment = triton_environment()
            backends = self.folder / "backends"
            assemble_backends(environment, backends)
            arguments = [self.text(pod, argument) for argument in container["args"]]
            command = [str(environment.server), *arguments, f"--backend-directory={backends}"]
            variables: Mapping[str, str] = environment.variables()
        else:
            command = [sys.executable, "-m", MODULES[name]]
            variables = self.variables(pod, workload, container)
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, env=variables, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 90
        while not self.passes(pod, container["startupProbe"]):
            assert self.processes[name].poll() is None, self.log(name)
            assert time.monotonic() < deadline, self.log(name)
            time.sleep(0.2)

    def passes(self, pod: str, probe: Mapping[str, Any]) -> bool:
        """Whether a probe passes, as a kubelet asks."""
        asked = probe["grpc"]
        port = self.ports[(pod, asked["port"])]
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            request = health_pb2.HealthCheckRequest(service=asked.get("service", ""))
            try:
                answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=2)
            except grpc.RpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def log(self, name: str) -> str:
        """The end of what a container wrote."""
        return (self.folder / f"{name}.log").read_text()[-3000:]

    def stop(self, name: str) -> float:
        """Asks a container to end; returns the seconds that it took."""
        process, begin = self.processes[name], time.monotonic()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        return time.monotonic() - begin


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), manifests(render(PROFILES["laptop"])))
    with ExitStack() as running:
        for pod, workload, container in sorted(
            cluster.pods(), key=lambda each: ["slicer", "packer", "triton", "test"].index(each[0])
        ):
            if pod != "test":
                running.callback(cluster.stop, container["name"])
                cluster.start(pod, workload, container)
        yield cluster


def test_every_probe_passes_once_the_release_is_up(cluster: Cluster) -> None:
    waiting = {
        (pod, title(workload), container["name"], name): container[name]
        for pod, workload, container in cluster.pods()
        for name in PROBES
        if name in container
    }
    assert len(waiting) == 12
    deadline = time.monotonic() + 30
    while waiting and time.monotonic() < deadline:
        waiting = {at: probe for at, probe in waiting.items() if not cluster.passes(at[0], probe)}
    assert not waiting


def test_the_pod_of_helm_test_walks_through(cluster: Cluster) -> None:
    ((pod, workload, container),) = (each for each in cluster.pods() if each[0] == "test")
    assert container["command"][:2] == ["python3", "-P"]
    ended = subprocess.run(
        [sys.executable, *container["command"][2:]],
        cwd=ROOT,
        env=cluster.variables(pod, workload, container),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("All of it works")


def test_every_container_ends_within_its_grace_and_in_order(cluster: Cluster) -> None:
    for pod, workload, container in cluster.pods():
        if pod != "test":
            spec = workload["spec"]["template"]["spec"]
            name = container["name"]
            assert cluster.stop(name) < spec["terminationGracePeriodSeconds"]
            assert cluster.processes[name].returncode == 0, cluster.log(name)
