"""A release of the chart, run by the engine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.helpers.chart.rendering import PROFILES, Manifest, manifests, render
from tests.helpers.containers import Container, docker, image
from tests.helpers.release.pods import PodPlan, claims, planned, service_names
from tests.helpers.release.running import RunningPod

_SERVERS = ("slicer", "packer", "triton")
_PODS = {"slicer": "slicer", "packer": "packer", "reconciler": "triton", "triton": "triton"}
_ADDRESSES = {
    "SLICER": ("slicer", "grpc"),
    "PACKER": ("packer", "grpc"),
    "TRITON_GRPC": ("triton", "grpc"),
    "RECONCILER_METRICS": ("triton", "metrics"),
}


def laptop_profile() -> list[Manifest]:
    """Returns the manifests of the laptop profile over the images that `make images` built."""
    targets = {"slicer": "slicer", "packer": "packer", "reconciler": "reconciler"}
    settings = []
    for name, target in (*targets.items(), ("triton", "triton-embedded")):
        repository, _, tag = image(target).rpartition(":")
        settings += [f"images.{name}.repository={repository}", f"images.{name}.tag={tag}"]
    return manifests(render(PROFILES["laptop"], *settings))


@dataclass(eq=False)
class Release:
    """Slicer, packer and Triton of a release, on a network of their own.

    Attributes:
        found: The manifests.
        name: What the engine's names begin with.
    """

    found: Sequence[Manifest]
    name: str = field(default_factory=lambda: f"release-test-{os.getpid()}")

    def __post_init__(self) -> None:
        self._plans = planned(self.found)
        self.pods = {name: self._pod(self._plans[name]) for name in _SERVERS}

    def up(self) -> None:
        """Starts all pods at once, as an installation does, and waits until they are ready."""
        docker("network", "create", self.name)
        for claim in claims(self.found):
            docker("volume", "create", f"{self.name}-{claim}")
        self._start()

    def restart(self) -> None:
        """Ends every pod in order and within its grace, and puts a new one in its place."""
        for pod in self.pods.values():
            seconds = pod.stop()
            assert seconds < pod.plan.grace_seconds, f"{pod.plan.name} took {seconds:.0f} s to end"
            pod.remove()
        self._start()

    def down(self) -> None:
        """Takes everything away, claims too."""
        for pod in self.pods.values():
            pod.remove()
        volumes = [f"{self.name}-{claim}" for claim in claims(self.found)]
        docker("volume", "rm", "--force", *volumes, check=False)
        docker("network", "rm", self.name, check=False)

    def run_test(self) -> tuple[int, str]:
        """Runs the pod of `helm test`; returns its exit code and its log."""
        pod = self._pod(self._plans["test"])
        (plan,) = pod.plan.containers
        assert pod.plan.deadline_seconds is not None
        deadline = time.monotonic() + pod.plan.deadline_seconds
        try:
            pod.start(service_names(self.found, pod.plan))
            while (state := pod.container(plan.name).state())["Running"]:
                assert time.monotonic() < deadline, pod.log(plan.name)
                time.sleep(0.2)
            return int(state["ExitCode"]), pod.log(plan.name)
        finally:
            pod.remove()

    def container(self, service: str) -> Container:
        """The container of a service."""
        return self.pods[_PODS[service]].container(service)

    def address(self, port: str) -> str:
        """Where a port is published, such as ``SLICER``."""
        pod, name = _ADDRESSES[port]
        return self.pods[pod].address(self.pods[pod].plan.ports[name])

    def logs(self) -> str:
        """The ends of all logs."""
        return "\n".join(
            f"{plan.name}: {pod.log(plan.name)}"
            for pod in self.pods.values()
            for plan in pod.plan.containers
        )

    def _pod(self, plan: PodPlan) -> RunningPod:
        return RunningPod(plan, self.name)

    def _start(self) -> None:
        with ThreadPoolExecutor(len(self.pods)) as threads:
            started = [
                threads.submit(pod.start, service_names(self.found, pod.plan))
                for pod in self.pods.values()
            ]
        for each in started:
            each.result()
