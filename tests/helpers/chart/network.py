"""Selectors, services, network policies and what Prometheus reads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.helpers.chart.parts import (
    WORKLOADS,
    labels_of,
    of_kind,
    pod_ports,
    selected,
    selects,
    title,
)
from tests.helpers.chart.rendering import Manifest

_NAMES = 53
"""The port of whoever resolves names."""


def selector_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """A workload selects its own pods, and no other one's."""
    workloads = of_kind(found, *WORKLOADS)
    for workload in of_kind(found, "Deployment", "StatefulSet"):
        chosen = selected(workloads, workload["spec"]["selector"])
        if chosen != [workload]:
            yield f"{title(workload)}: its selector selects {[title(each) for each in chosen]}"
        for spread in workload["spec"]["template"]["spec"].get("topologySpreadConstraints", ()):
            if selected(workloads, spread["labelSelector"]) != [workload]:
                yield f"{title(workload)}: its topology spread selects other pods"


def service_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """A service selects one workload, which has the ports that it leads to."""
    workloads = of_kind(found, *WORKLOADS)
    for service in of_kind(found, "Service"):
        chosen = selected(workloads, {"matchLabels": service["spec"]["selector"]})
        if len(chosen) != 1:
            yield f"{title(service)}: selects {len(chosen)} workloads"
            continue
        ports = pod_ports(chosen[0])
        for port in service["spec"]["ports"]:
            if ports.get(port["targetPort"]) != port["port"]:
                yield f"{title(service)}: the port {port['name']} leads nowhere"
    for workload in of_kind(found, "StatefulSet"):
        headless = {
            each["metadata"]["name"]
            for each in of_kind(found, "Service")
            if each["spec"].get("clusterIP") == "None"
        }
        if workload["spec"]["serviceName"] not in headless:
            yield f"{title(workload)}: its service is not there, or not headless"


def policy_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """Where there are policies, all is denied, and what they allow is there."""
    workloads, policies = of_kind(found, *WORKLOADS), of_kind(found, "NetworkPolicy")
    if not policies:
        return
    for workload in workloads:
        denied = [
            policy
            for policy in policies
            if selects(policy["spec"]["podSelector"], labels_of(workload))
            and not {"ingress", "egress"} & set(policy["spec"])
            and set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        ]
        if not denied:
            yield f"{title(workload)}: no policy denies all of its traffic"
    for policy in policies:
        chosen = selected(workloads, policy["spec"]["podSelector"])
        outward = policy["spec"].get("egress", ())
        asked = {(p["protocol"], p["port"]) for rule in outward for p in rule.get("ports", ())}
        if outward and not {("UDP", _NAMES), ("TCP", _NAMES)} <= asked:
            yield f"{title(policy)}: calls services, and can resolve no name"
        if not chosen:
            yield f"{title(policy)}: selects no pod"
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for rule in policy["spec"].get(direction, ()):
                if direction.capitalize() not in policy["spec"]["policyTypes"]:
                    yield f"{title(policy)}: {direction} without its policy type"
                if not rule.get(side) or not rule.get("ports"):
                    yield f"{title(policy)}: a rule of {direction} is open to everything"
                    continue
                yield from _rule_faults(policy, rule, side, workloads)


def _rule_faults(
    policy: Manifest, rule: Mapping[str, Any], side: str, workloads: Sequence[Manifest]
) -> Iterator[str]:
    own = selected(workloads, policy["spec"]["podSelector"])
    peers: list[Manifest] = []
    for peer in rule[side]:
        if set(peer) == {"podSelector"}:
            chosen = selected(workloads, peer["podSelector"])
            peers += chosen
            if not chosen:
                yield f"{title(policy)}: a peer of {side} selects no pod"
    targets = own if side == "from" else peers
    ports = {number for target in targets for number in pod_ports(target).values()}
    for port in rule["ports"]:
        if port["protocol"] != "TCP" and port["port"] != _NAMES:
            yield f"{title(policy)}: nobody speaks {port['protocol']} on port {port['port']}"
        if targets and port["port"] not in ports:
            yield f"{title(policy)}: nothing listens on port {port['port']}"
    for target in targets:
        if targets and not {port["port"] for port in rule["ports"]} & set(
            pod_ports(target).values()
        ):
            yield f"{title(policy)}: {title(target)} has none of the ports"


def monitor_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """A ServiceMonitor selects a service that has the ports it reads."""
    services = of_kind(found, "Service")
    for monitor in of_kind(found, "ServiceMonitor"):
        chosen = [
            each
            for each in services
            if selects(monitor["spec"]["selector"], each["metadata"]["labels"])
        ]
        if len(chosen) != 1:
            yield f"{title(monitor)}: selects {len(chosen)} services"
            continue
        labels, spec = chosen[0]["metadata"]["labels"], monitor["spec"]
        component = "app.kubernetes.io/component"
        if spec.get("jobLabel") != component or labels[component] not in title(chosen[0]):
            yield f"{title(monitor)}: the rules' label job is another one"
        if spec.get("targetLabels") != ["app.kubernetes.io/instance"]:
            yield f"{title(monitor)}: the rules' label of the release is not there"
        names = {port["name"] for port in chosen[0]["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            if not re.fullmatch(r"[0-9]+[smh]", str(endpoint["interval"])):
                yield f"{title(monitor)}: {endpoint['interval']} is no time"
            if endpoint["port"] not in names:
                yield f"{title(monitor)}: {title(chosen[0])} has no port {endpoint['port']}"
        if (
            chosen[0]["metadata"]["namespace"]
            not in monitor["spec"]["namespaceSelector"]["matchNames"]
        ):
            yield f"{title(monitor)}: looks into another namespace"
