"""Pods as containers of the engine: each with one network, one host name, and its volumes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.helpers.containers import Container, docker
from tests.helpers.release.pods import ContainerPlan, PodPlan
from tests.helpers.release.probes import Probe

_SHOWN = 6000
_POLL_SECONDS = 0.1
# Where the container that holds a pod together keeps the pod's volumes.
_VOLUMES = "/volumes"
# It may hand volumes to their group, as a kubelet does, and nothing else.
_KEEPER = (
    *("--user", "0:0", "--read-only", "--cap-drop", "ALL", "--cap-add", "CHOWN"),
    *("--cap-add", "FOWNER", "--cap-add", "FSETID", "--no-healthcheck", "--entrypoint", "sleep"),
)


@dataclass
class RunningPod:
    """One pod that is being started, runs, or ended.

    Attributes:
        plan: What it is.
        prefix: What the release's containers and volumes are called by the engine.
        ready_seconds: From the start of each container until its probes passed.
    """

    plan: PodPlan
    prefix: str
    ready_seconds: dict[str, float] = field(default_factory=dict)

    @property
    def keeper(self) -> str:
        """The container that holds network and volumes, as a pod's sandbox does."""
        return f"{self.prefix}-{self.plan.name}"

    def container(self, name: str) -> Container:
        """A container of it."""
        return Container(f"{self.keeper}-{name}")

    def address(self, port: int) -> str:
        """Where one of its ports is published."""
        return docker("port", self.keeper, f"{port}/tcp").stdout.split()[0]

    def start(self, aliases: Iterator[str]) -> None:
        """Starts it and waits until it is ready.

        Args:
            aliases: The names that services give it.
        """
        self._hold_together(aliases)
        begun = {}
        for plan in self.plan.containers:
            begun[plan.name] = time.monotonic()
            self._run(plan)
            if plan.sidecar:
                self.until(plan, "startupProbe")
        for plan in self.plan.containers:
            for name in ("startupProbe", "readinessProbe"):
                self.until(plan, name)
            self.ready_seconds[plan.name] = time.monotonic() - begun[plan.name]

    def until(self, plan: ContainerPlan, name: str) -> None:
        """Waits until a probe of a container passes, no longer than the startup probe allows."""
        if (probe := plan.probes.get(name)) is None:
            return
        budget = plan.probes.get("startupProbe", probe).budget_seconds
        address, deadline = self.address(probe.port), time.monotonic() + budget
        while not probe.passes(address):
            state = self.container(plan.name).state()
            assert state["Running"], self.log(plan.name)
            assert time.monotonic() < deadline, f"{name} of {plan.name}: {self.log(plan.name)}"
            time.sleep(_POLL_SECONDS)

    def probes(self) -> Mapping[tuple[str, str], tuple[Probe, str]]:
        """All probes by container and name, each with the address that it asks."""
        return {
            (plan.name, name): (probe, self.address(probe.port))
            for plan in self.plan.containers
            for name, probe in plan.probes.items()
        }

    def stop(self) -> float:
        """Ends its containers in order, as a kubelet does; returns the seconds that it took."""
        begun = time.monotonic()
        for plan in sorted(self.plan.containers, key=lambda each: each.sidecar):
            container = self.container(plan.name)
            if plan.before_stop:
                container.execute(*plan.before_stop)
            left = self.plan.grace_seconds - (time.monotonic() - begun)
            docker("stop", "--time", str(max(1, int(left))), container.name)
            assert container.state()["ExitCode"] == 0, self.log(plan.name)
        return time.monotonic() - begun

    def remove(self) -> None:
        """Takes it away with all of its volumes that do not outlive it."""
        names = [self.container(plan.name).name for plan in self.plan.containers]
        docker("rm", "--force", "--volumes", *reversed(names), self.keeper, check=False)
        own = [self._volume(name) for name, each in self.plan.volumes.items() if not each.claim]
        docker("volume", "rm", "--force", *own, check=False)

    def log(self, name: str) -> str:
        """The end of what a container wrote."""
        return self.container(name).logs()[-_SHOWN:]

    def _volume(self, name: str) -> str:
        """What the engine calls a volume."""
        return f"{self.prefix}-{self.plan.volumes[name].claim or f'{self.plan.name}-{name}'}"

    def _hold_together(self, aliases: Iterator[str]) -> None:
        """Makes network and volumes, which stay while containers come and go."""
        for name, volume in self.plan.volumes.items():
            if volume.memory_bytes is not None:
                rights = f"size={volume.memory_bytes},mode=2777,gid={self.plan.group}"
                memory = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", f"o={rights}")
                docker("volume", "create", *memory, self._volume(name))
        words = [word for alias in aliases for word in ("--network-alias", alias)]
        for port in self.plan.ports.values():
            words += ["--publish", f"127.0.0.1::{port}"]
        for name in self.plan.volumes:
            words += ["--mount", self._mount(name, f"{_VOLUMES}/{name}")]
        where = ("--network", self.prefix, "--hostname", self.plan.name, "--name", self.keeper)
        image = self.plan.containers[0].image
        docker("run", "--detach", *_KEEPER, *where, *words, image, "infinity")
        hand_over = f"chgrp {self.plan.group} {_VOLUMES}/* && chmod g+rwxs {_VOLUMES}/*"
        docker("exec", self.keeper, "sh", "-c", hand_over)

    def _run(self, plan: ContainerPlan) -> None:
        words = [f"--network=container:{self.keeper}", "--name", self.container(plan.name).name]
        for mount in plan.mounts:
            suffix = ",readonly" if mount.read_only else ""
            words += ["--mount", self._mount(mount.volume, mount.path) + suffix]
        docker("run", "--detach", *words, *plan.options, plan.image, *plan.command)

    def _mount(self, volume: str, path: str) -> str:
        # Kubernetes copies nothing of an image into a volume.
        return f"type=volume,source={self._volume(volume)},target={path},volume-nocopy"
