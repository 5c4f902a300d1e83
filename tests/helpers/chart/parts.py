"""Looks into manifests: workloads, their pods, their containers, quantities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.helpers.chart.rendering import Manifest

WORKLOADS = ("Deployment", "StatefulSet", "Pod")
_FACTORS = {"": 1.0, "m": 1e-3, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


def of_kind(found: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """Returns the manifests of some kinds."""
    return [manifest for manifest in found if manifest["kind"] in kinds]


def title(manifest: Manifest) -> str:
    """Returns what a manifest is called in a finding."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def pod_of(manifest: Manifest) -> Manifest:
    """Returns a workload's pod template; a pod is its own."""
    return manifest if manifest["kind"] == "Pod" else manifest["spec"]["template"]


def containers(manifest: Manifest) -> list[Manifest]:
    """Returns all containers of a workload's pod, sidecars too."""
    spec = pod_of(manifest)["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]


def pod_ports(manifest: Manifest) -> dict[str, int]:
    """Returns the ports of a workload's pod by name."""
    return {
        port["name"]: port["containerPort"]
        for container in containers(manifest)
        for port in container.get("ports", ())
    }


def labels_of(manifest: Manifest) -> Mapping[str, str]:
    """Returns the labels of a workload's pods."""
    found: Mapping[str, str] = pod_of(manifest)["metadata"]["labels"]
    return found


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a selector of `matchLabels` alone selects what has these labels."""
    wanted = selector.get("matchLabels", {})
    return not set(selector) - {"matchLabels"} and wanted.items() <= labels.items()


def selected(workloads: Iterable[Manifest], selector: Manifest) -> list[Manifest]:
    """Returns the workloads whose pods a selector selects."""
    return [workload for workload in workloads if selects(selector, labels_of(workload))]


def quantity(text: object) -> float:
    """Returns a quantity as a number.

    Raises:
        ValueError: It is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m|Mi|Gi|Ti)?", str(text))
    if match is None:
        raise ValueError(f"{text!r} is no quantity")
    return float(match[1]) * _FACTORS[match[2] or ""]


def settings_of(
    manifest: Manifest, container: Manifest, found: Sequence[Manifest]
) -> dict[str, str]:
    """Returns the environment of a container, those of its ConfigMaps too, but for references."""
    maps = {each["metadata"]["name"]: each for each in of_kind(found, "ConfigMap")}
    variables: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        variables.update(maps[source["configMapRef"]["name"]]["data"])
    variables.update(
        {each["name"]: each["value"] for each in container.get("env", ()) if "value" in each}
    )
    return variables


def strings(value: Any) -> Iterator[str]:
    """Yields all texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from strings(each)
