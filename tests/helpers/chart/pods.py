"""Containers: probes, resources, security, volumes, devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.helpers.chart.parts import (
    WORKLOADS,
    containers,
    of_kind,
    pod_of,
    pod_ports,
    quantity,
    settings_of,
    title,
)
from tests.helpers.chart.rendering import Manifest

_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def probe_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """What serves has all three probes over gRPC, on a port of its pod."""
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        ports = set(pod_ports(workload).values())
        for container in containers(workload):
            place = f"{title(workload)}: {container['name']}"
            for name in _PROBES:
                probe = container.get(name)
                if probe is None or "grpc" not in probe:
                    yield f"{place} has no {name} over gRPC"
                elif probe["grpc"]["port"] not in ports:
                    yield f"{place}: {name} asks a port where nothing listens"
            budget = container.get("startupProbe", {})
            seconds = budget.get("periodSeconds", 10) * budget.get("failureThreshold", 3)
            if seconds < 60:
                yield f"{place} has {seconds} s to start"


def readiness_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """A Triton that was restarted is not ready before the reconciler has loaded its models anew."""
    for workload in of_kind(found, "StatefulSet"):
        for container in containers(workload):
            asked = container.get("readinessProbe", {}).get("grpc", {})
            if asked.get("port") != pod_ports(workload)["health"] or asked.get("service"):
                yield f"{title(workload)}: {container['name']} is ready before its models are"


def resource_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """Every container has limits of processor and memory, and asks for no more than them."""
    for workload in of_kind(found, *WORKLOADS):
        for container in containers(workload):
            place = f"{title(workload)}: {container['name']}"
            resources = container.get("resources", {})
            requests, limits = resources.get("requests", {}), resources.get("limits", {})
            for name in ("cpu", "memory"):
                if name not in limits or name not in requests:
                    yield f"{place} has no limit or request of {name}"
                elif not 0 < quantity(requests[name]) <= quantity(limits[name]):
                    yield f"{place} asks for more {name} than its limit, or for none"
            for name in set(limits) - {"cpu", "memory"}:
                if requests.get(name) != limits[name]:
                    yield f"{place}: request and limit of {name} differ"


def security_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """The restricted pod security standard, a read-only root, and no token."""
    for workload in of_kind(found, *WORKLOADS):
        spec = pod_of(workload)["spec"]
        pod = spec.get("securityContext", {})
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{title(workload)}: a token is mounted"
        if not pod.get("runAsNonRoot") or not pod.get("runAsUser"):
            yield f"{title(workload)}: may run as root"
        if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{title(workload)}: has no seccomp profile"
        if any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{title(workload)}: shares the node's namespaces"
        for container in containers(workload):
            if any("hostPort" in port for port in container.get("ports", ())):
                yield f"{title(workload)}: {container['name']} takes a port of the node"
            own = container.get("securityContext", {})
            wanted = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            if own != wanted:
                yield f"{title(workload)}: {container['name']} has other rights than none"


def volume_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """What is mounted is there, what is there is mounted, and scratch space has an end."""
    for workload in of_kind(found, *WORKLOADS):
        volumes = {each["name"]: each for each in pod_of(workload)["spec"].get("volumes", ())}
        mounted = {
            mount["name"]
            for container in containers(workload)
            for mount in container.get("volumeMounts", ())
        }
        for name in mounted ^ set(volumes):
            yield f"{title(workload)}: the volume {name} is not there, or not mounted"
        for name, volume in volumes.items():
            if not {"emptyDir", "persistentVolumeClaim", "secret"} & set(volume):
                yield f"{title(workload)}: the volume {name} is the node's"
            if "sizeLimit" not in volume.get("emptyDir", {"sizeLimit": ""}):
                yield f"{title(workload)}: the volume {name} has no limit"
        for container in containers(workload):
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
            if "/tmp" not in paths:
                yield f"{title(workload)}: {container['name']} can write to no /tmp"
            if len(set(paths)) < len(paths):
                yield f"{title(workload)}: {container['name']} mounts one path twice"


def _limits(container: Manifest) -> Mapping[str, Any]:
    """Returns a container's limits; without any, `resource_faults` says so."""
    none = {"cpu": "1000", "memory": "1000Ti"}
    return {**none, **container.get("resources", {}).get("limits", {})}


def _gpu_faults(workload: Manifest, container: Manifest) -> Iterator[str]:
    """What a pod with a GPU has, and one without has not."""
    spec, limits = pod_of(workload)["spec"], _limits(container)
    counts = {name: count for name, count in limits.items() if name.startswith("nvidia.com/")}
    if any(count != int(count) or count < 1 for count in counts.values()) or len(counts) > 1:
        yield f"{title(workload)}: asks for {counts}"
    if not counts and ("runtimeClassName" in spec or "nvidia.com" in str(spec.get("nodeSelector"))):
        yield f"{title(workload)}: takes the place of those that need a GPU"
    if container["image"].partition("@")[0].endswith("-cuda") != bool(counts) and (
        container["name"] in {"slicer", "packer"}
    ):
        yield f"{title(workload)}: {container['image']} is not for what its resources are"
    hidden = {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container.get("env", ())
    if container["name"] == "triton" and hidden == bool(counts):
        yield f"{title(workload)}: sees other GPUs than those that it asked for"


def device_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """What computes on a GPU, and nothing else, has one."""
    for workload in of_kind(found, *WORKLOADS):
        having = [
            each["name"] for each in containers(workload) if "nvidia.com" in str(_limits(each))
        ]
        if having not in ([], ["slicer"], ["packer"], ["triton"]):
            yield f"{title(workload)}: {having} have GPUs"
    for workload in of_kind(found, "StatefulSet"):
        by_name: Mapping[str, Any] = {each["name"]: each for each in containers(workload)}
        settings = settings_of(workload, by_name["reconciler"], found)
        limits = _limits(by_name["triton"])
        devices = [name for name in limits if name.startswith("nvidia.com/")]
        yield from _gpu_faults(workload, by_name["triton"])
        wanted = "KIND_GPU" if devices else "KIND_CPU"
        if settings["RECONCILER_INSTANCE_KIND"] != wanted:
            yield f"{title(workload)}: models are {settings['RECONCILER_INSTANCE_KIND']}"
        if f"--allow-gpu-metrics={str(bool(devices)).lower()}" not in by_name["triton"]["args"]:
            yield f"{title(workload)}: GPU metrics do not follow from its GPUs"
        if int(settings["RECONCILER_CORES"]) > max(1, quantity(limits["cpu"])):
            yield f"{title(workload)}: more threads than processors"
    for workload in of_kind(found, "Deployment"):
        (container,) = containers(workload)
        settings, limits = settings_of(workload, container, found), _limits(container)
        prefix = container["name"].upper()
        yield from _gpu_faults(workload, container)
        devices = [name for name in limits if name.startswith("nvidia.com/")]
        if settings.get(f"{prefix}_DEVICE", "cpu") != ("cuda" if devices else "cpu"):
            yield f"{title(workload)}: computes elsewhere than where its resources are"
        workers = int(settings[f"{prefix}_WORKERS"])
        threads = workers * int(settings[f"{prefix}_WORKER_THREADS"])
        memory = workers * int(settings[f"{prefix}_WORKER_MEMORY_BYTES"])
        if threads > max(workers, quantity(limits["cpu"])):
            yield f"{title(workload)}: more threads than processors"
        if memory >= quantity(limits["memory"]):
            yield f"{title(workload)}: its workers may use more memory than there is"
