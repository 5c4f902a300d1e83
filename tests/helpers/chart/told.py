"""What processes are told, against the manifests around them: addresses, folders, secrets, TLS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serving.client import SECRET_KEY
from tests.helpers.chart.parts import (
    WORKLOADS,
    containers,
    of_kind,
    pod_of,
    settings_of,
    title,
)
from tests.helpers.chart.rendering import Manifest

_LISTENS = re.compile(r"(?:0\.0\.0\.0):(\d+)")
_SERVICE = re.compile(r"([a-z][a-z0-9-]*):(\d+)")
_PORT = re.compile(r"--[a-z]+-port=(\d+)")
_SECRET_FILES = {"tls.crt", "tls.key", "ca.crt"}
_GUARDED = {"model-repository", "shared-memory", "trace", "logging"}


def address_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """Processes listen on the ports of their container, and call services that are there."""
    services = {
        each["metadata"]["name"]: (
            each["spec"]["selector"]["app.kubernetes.io/component"],
            {port["port"] for port in each["spec"]["ports"]},
        )
        for each in of_kind(found, "Service")
    }
    for workload in of_kind(found, *WORKLOADS):
        for container in containers(workload):
            place = f"{title(workload)}: {container['name']}"
            settings = settings_of(workload, container, found)
            texts = [*settings.values(), *container.get("args", ())]
            listens = {int(port) for text in texts for port in _LISTENS.findall(text)}
            listens |= {int(port) for text in texts for port in _PORT.findall(text)}
            ports = {port["containerPort"] for port in container.get("ports", ())}
            for port in sorted(listens ^ ports):
                yield f"{place}: listens on {port}, or has a port of that number, but not both"
            for name, value in settings.items():
                called = _SERVICE.fullmatch(value)
                if called is None:
                    continue
                component, open_ports = services.get(called[1], ("nobody", set()))
                meant = name.removesuffix("__ADDRESS").rpartition("_")[2].lower()
                if component != meant or int(called[2]) not in open_ports:
                    yield f"{place}: {name} is {value}, where nobody of that name listens"


def folder_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """What a process keeps lies on a volume that it may write to; what Triton reads it may not."""
    for workload in of_kind(found, *WORKLOADS):
        for container in containers(workload):
            place = f"{title(workload)}: {container['name']}"
            mounts: Mapping[str, Any] = {
                each["mountPath"]: each for each in container.get("volumeMounts", ())
            }
            for name, value in settings_of(workload, container, found).items():
                kept = mounts.get(value)
                if name.endswith("_STATE_DIR") and (kept is None or kept.get("readOnly")):
                    yield f"{place}: can keep nothing in {value}"
                if name == "HOME" and mounts.get(value, {"readOnly": True}).get("readOnly"):
                    yield f"{place}: has no home"
            for argument in container.get("args", ()):
                if argument.startswith("--model-repository="):
                    root = argument.partition("=")[2].rpartition("/")[0]
                    if not mounts.get(root, {}).get("readOnly"):
                        yield f"{place}: may change the models, or does not see them"
            # Its backend hands tensors to another process through shared memory.
            if ("/dev/shm" in mounts) != ("embedded" in container["image"]):
                yield f"{place}: {container['image']} wants other shared memory"
    for claim in of_kind(found, "PersistentVolumeClaim"):
        if claim["spec"]["accessModes"] != ["ReadWriteOnce"]:
            yield f"{title(claim)}: SQLite wants a block device of one node"


def secret_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """A secret's keys are those that are read, and only who knows it may change models."""
    made = {each["metadata"]["name"]: set(each["data"]) for each in of_kind(found, "Secret")}
    for workload in of_kind(found, *WORKLOADS):
        read = [
            variable["valueFrom"]["secretKeyRef"]
            for container in containers(workload)
            for variable in container.get("env", ())
            if "secretKeyRef" in variable.get("valueFrom", {})
        ]
        if len({(each["name"], each["key"]) for each in read}) > 1:
            yield f"{title(workload)}: its containers read different secrets"
        for each in read:
            if each["key"] not in made.get(each["name"], {"secret"}):
                yield f"{title(workload)}: the secret {each['name']} has no key {each['key']}"
        for container in containers(workload):
            for option in ("--grpc-restricted-protocol=", "--http-restricted-api="):
                given = [text for text in container.get("args", ()) if text.startswith(option)]
                groups, _, key = (given or [""])[0].removeprefix(option).partition(":")
                if container["name"] == "triton" and (
                    set(groups.split(",")) != _GUARDED or key != f"{SECRET_KEY}=$(TRITON_SECRET)"
                ):
                    yield f"{title(workload)}: Triton's {option} does not guard {_GUARDED}"


def tls_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """With TLS everybody has certificates of his own and uses them; without, nobody names any."""
    owners: dict[str, list[str]] = {}
    told = {}
    for workload in of_kind(found, *WORKLOADS):
        volumes = [
            each["secret"]
            for each in pod_of(workload)["spec"].get("volumes", ())
            if "secret" in each
        ]
        for secret in volumes:
            owners.setdefault(secret["secretName"], []).append(title(workload))
            if secret.get("defaultMode") != 0o440:
                yield f"{title(workload)}: the group alone is to read {secret['secretName']}"
        for container in containers(workload):
            settings = settings_of(workload, container, found)
            place = f"{title(workload)}: {container['name']}"
            told[place] = {name: text for name, text in settings.items() if "TLS_" in name}
            mounts = {
                each["mountPath"]
                for each in container.get("volumeMounts", ())
                if each["name"] == "tls"
            }
            for name, text in told[place].items():
                folder, _, file = text.rpartition("/")
                if folder not in mounts or file not in _SECRET_FILES:
                    yield f"{place}: {name} is {text}, which is nowhere"
            yield from _half(place, set(settings))
            if mounts and any(name.endswith("__INSECURE") for name in settings):
                yield f"{place}: calls in plain text although there is TLS"
    for secret, users in owners.items():
        if len(users) > 1:
            yield f"{' and '.join(users)} share the certificates of {secret}"
    mutual = {
        any("CLIENT_CA" in name for names in told.values() for name in names),
        any("__TLS_KEY" in name for names in told.values() for name in names),
    }
    servers = [names for names in told.values() if any(n.endswith("R_TLS_KEY") for n in names)]
    asking = [any("CLIENT_CA" in name for name in names) for names in servers]
    if len(mutual) > 1 or len(set(asking)) > 1:
        yield "some ask for the certificates of clients, and others have or ask for none"


def _half(place: str, names: set[str]) -> Iterator[str]:
    """Certificate and key come together, and whoever calls by TLS knows whom to trust."""
    for name in names:
        for one, other in (("TLS_CERTIFICATE", "TLS_KEY"), ("TLS_KEY", "TLS_CERTIFICATE")):
            if name.endswith(one) and name.replace(one, other) not in names:
                yield f"{place}: {name} without {other}"
        if name.endswith("__ADDRESS"):
            start = name.removesuffix("ADDRESS")
            if not {f"{start}TLS_CA", f"{start}INSECURE"} & names:
                yield f"{place}: {name} with neither TLS nor leave to do without"
