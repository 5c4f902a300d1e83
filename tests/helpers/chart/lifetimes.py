"""Ends and renewals: grace periods, connections, checksums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.helpers.chart.parts import containers, of_kind, pod_of, settings_of, title
from tests.helpers.chart.rendering import Manifest

_EXIT = "--exit-timeout-secs="
_AGE = "--grpc-max-connection-age="


def grace_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """A pod may take longer to end than its processes are allowed to."""
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        grace = pod_of(workload)["spec"].get("terminationGracePeriodSeconds", 30)
        needed = 0.0
        for container in containers(workload):
            settings = settings_of(workload, container, found)
            needed += sum(
                float(value)
                for name, value in settings.items()
                if name.endswith(("_DRAIN_SECONDS", "_CLOSE_SECONDS"))
            )
            needed += sum(
                float(argument.removeprefix(_EXIT))
                for argument in container.get("args", ())
                if argument.startswith(_EXIT)
            )
            hook = container.get("lifecycle", {}).get("preStop")
            if hook is not None:
                needed += float(hook["exec"]["command"][1])
            if container["name"] == "triton" and hook is None:
                yield f"{title(workload)}: Triton stops before clients have heard of it"
        if grace <= needed:
            yield f"{title(workload)}: is killed after {grace} s, and may take {needed} s to end"


def connection_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """A gRPC client finds new pods, and leaves one that is to stop while it still serves."""
    for workload in of_kind(found, "StatefulSet"):
        for container in containers(workload):
            if container["name"] != "triton":
                continue
            hook = container.get("lifecycle", {}).get("preStop")
            seconds = float(hook["exec"]["command"][1]) if hook else 0.0
            ages = [float(each.removeprefix(_AGE)) for each in container["args"] if _AGE in each]
            if not ages or ages[0] <= 0:
                yield f"{title(workload)}: a gRPC connection lasts for ever, with one pod"
            elif seconds and 2 * ages[0] / 1000 > seconds:
                yield f"{title(workload)}: a gRPC connection outlives a pod that is to stop"


def checksum_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """Whoever reads a ConfigMap is renewed when it changes."""
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        reads = any(container.get("envFrom") for container in containers(workload))
        annotations = pod_of(workload)["metadata"].get("annotations", {})
        if reads and len(annotations.get("checksum/config", "")) != 64:
            yield f"{title(workload)}: a changed setting restarts nothing"
