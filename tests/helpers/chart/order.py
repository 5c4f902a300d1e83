"""What starts, lives and is replaced in which order: sidecars, probes, hooks, updates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from svckit.health import LIVENESS
from tests.helpers.chart.parts import containers, of_kind, pod_of, title
from tests.helpers.chart.rendering import Manifest

_PATIENCE_SECONDS = 30
_NODES = {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}


def sidecar_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """A sidecar goes on beside the main container, and has started before the others are."""
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        spec = pod_of(workload)["spec"]
        for container in spec.get("initContainers", ()):
            if container.get("restartPolicy") != "Always":
                yield f"{title(workload)}: {container['name']} ends before the others start"
            # Its main container starts after this probe: it may not wait for that one.
            if container["startupProbe"]["grpc"].get("service") != LIVENESS:
                yield f"{title(workload)}: {container['name']} waits for who waits for it"
        if len(spec["containers"]) != 1:
            yield f"{title(workload)}: has {len(spec['containers'])} main containers"
    for workload in of_kind(found, "StatefulSet"):
        if workload["spec"].get("updateStrategy", {"type": ""})["type"] not in (
            "",
            "RollingUpdate",
        ):
            yield f"{title(workload)}: an upgrade replaces nothing"
        names = [each["name"] for each in containers(workload)]
        if names != ["reconciler", "triton"]:
            yield f"{title(workload)}: starts {names}"
        for spread in pod_of(workload)["spec"].get("topologySpreadConstraints", ()):
            if spread["topologyKey"] not in _NODES:
                yield f"{title(workload)}: no node has the label {spread['topologyKey']}"


def patience_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """Who waits is not ready, but is not killed; who is slow for a moment is not either."""
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        for container in containers(workload):
            place = f"{title(workload)}: {container['name']}"
            own = container["name"] != "triton"
            for name in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container.get(name, {})
                period = probe.get("periodSeconds", 10)
                if probe.get("timeoutSeconds", 1) > period:
                    yield f"{place}: {name} asks again before it has waited"
                asked = probe.get("grpc", {}).get("service", "")
                if asked not in (("", LIVENESS) if own else ("",)):
                    yield f"{place}: {name} asks for {asked!r}, which nobody answers"
                wanted = {"readinessProbe": "", "livenessProbe": LIVENESS}.get(name, asked)
                if own and asked != wanted:
                    yield f"{place}: {name} asks for {asked!r}"
            probe = container.get("livenessProbe", {})
            seconds = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
            if seconds < _PATIENCE_SECONDS:
                yield f"{place}: is killed after {seconds} s without an answer"


def hook_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """The pod of `helm test` runs once, to its end or its deadline."""
    for pod in of_kind(found, "Pod"):
        if pod["metadata"].get("annotations", {}).get("helm.sh/hook") != "test":
            yield f"{title(pod)}: is part of the release"
        if pod["spec"].get("restartPolicy") != "Never":
            yield f"{title(pod)}: is started again when it failed"
        if not pod["spec"].get("activeDeadlineSeconds"):
            yield f"{title(pod)}: may take for ever"
