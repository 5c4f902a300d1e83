"""Names, labels, references and images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.helpers.chart.parts import WORKLOADS, containers, of_kind, pod_of, strings, title
from tests.helpers.chart.rendering import Manifest

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SERVICE = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LONGEST = 63
_IMAGES = {"walk": "packer"}
"""What runs in containers that are not named after their image."""
_REVISION = len("-0123456789")
"""What a StatefulSet's controller adds to its name in a label of its pods."""


def name_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """Names are labels of RFC 1123, those of services of RFC 1035, and short enough."""
    titles = [title(manifest) for manifest in found]
    for double in {each for each in titles if titles.count(each) > 1}:
        yield f"{double}: occurs twice"
    for manifest in found:
        name = manifest["metadata"]["name"]
        pattern = _SERVICE if manifest["kind"] == "Service" else _LABEL
        longest = _LONGEST - (_REVISION if manifest["kind"] == "StatefulSet" else 0)
        if not pattern.fullmatch(name):
            yield f"{title(manifest)}: no valid name"
        if len(name) > longest:
            yield f"{title(manifest)}: longer than {longest} characters"
        for key, value in manifest["metadata"].get("labels", {}).items():
            if len(value) > _LONGEST or not _LABEL_VALUE.fullmatch(value):
                yield f"{title(manifest)}: the label {key} has no valid value"
    for workload in of_kind(found, *WORKLOADS):
        for container in containers(workload):
            for port in container.get("ports", ()):
                if len(port["name"]) > 15 or not _PORT_NAME.fullmatch(port["name"]):
                    yield f"{title(workload)}: the port {port['name']} has no valid name"


def reference_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """What a pod names of the release's own is there; no template left a hole."""
    release = {each["metadata"]["labels"]["app.kubernetes.io/instance"] for each in found}
    if len(release) != 1:
        yield f"manifests of several releases: {release}"
    for manifest in found:
        if any("<no value>" in text or "%!" in text for text in strings(manifest)):
            yield f"{title(manifest)}: a template left a hole"
    for kind, name in foreign_references(found):
        if name.startswith(f"{next(iter(release))}-slice-and-pack"):
            yield f"{kind}/{name} is not there"


def foreign_references(found: Sequence[Manifest]) -> set[tuple[str, str]]:
    """Kind and name of what pods refer to and the release does not have."""
    there = {(each["kind"], each["metadata"]["name"]) for each in found}
    named = {
        reference
        for workload in of_kind(found, *WORKLOADS)
        for reference in _references(pod_of(workload)["spec"])
    }
    return named - there


def _references(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "ServiceAccount", spec["serviceAccountName"]
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        for source in container.get("envFrom", ()):
            yield "ConfigMap", source["configMapRef"]["name"]
        for variable in container.get("env", ()):
            secret = variable.get("valueFrom", {}).get("secretKeyRef")
            if secret is not None:
                yield "Secret", secret["name"]
    for secret in spec.get("imagePullSecrets", ()):
        yield "Secret", secret["name"]
    for volume in spec.get("volumes", ()):
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]


def image_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """An image is the container's, with a tag that does not move, got in the same way by all."""
    ways = set()
    for workload in of_kind(found, *WORKLOADS):
        secrets = [each["name"] for each in pod_of(workload)["spec"].get("imagePullSecrets", ())]
        for container in containers(workload):
            image, _, tag = container["image"].partition("@")[0].rpartition("/")[2].partition(":")
            if tag in ("", "latest"):
                yield f"{title(workload)}: {container['image']} has no fixed tag"
            if not image.startswith(_IMAGES.get(container["name"], container["name"])):
                yield f"{title(workload)}: {container['name']} runs {container['image']}"
            ways.add((container["imagePullPolicy"], *secrets))
    if len(ways) > 1:
        yield f"images are pulled in different ways: {ways}"


def account_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """Pods have an account of the release's own, which opens nothing."""
    accounts = {each["metadata"]["name"]: each for each in of_kind(found, "ServiceAccount")}
    for account in accounts.values():
        if account.get("automountServiceAccountToken") is not False:
            yield f"{title(account)}: gives its token to pods"
    for workload in of_kind(found, *WORKLOADS):
        spec = pod_of(workload)["spec"]
        if spec["serviceAccountName"] not in accounts:
            yield f"{title(workload)}: uses the account {spec['serviceAccountName']}"
        if spec.get("enableServiceLinks") is not False:
            yield f"{title(workload)}: gets variables of every service of the namespace"
    if len({manifest["metadata"].get("namespace") for manifest in found}) != 1:
        yield "manifests are in several namespaces, or in none"
