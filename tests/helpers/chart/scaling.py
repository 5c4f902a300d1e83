"""Numbers of pods: the autoscaler, the disruption budget, and those with one writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.helpers.chart.parts import of_kind, pod_of, quantity, selected, title
from tests.helpers.chart.rendering import Manifest


def _target(autoscaler: Manifest, found: Sequence[Manifest]) -> list[Manifest]:
    wanted = autoscaler["spec"]["scaleTargetRef"]
    return [
        each
        for each in of_kind(found, wanted["kind"])
        if each["metadata"]["name"] == wanted["name"] and each["apiVersion"] == wanted["apiVersion"]
    ]


def autoscaler_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """An autoscaler's bounds are in order, and nobody else sets the number."""
    for autoscaler in of_kind(found, "HorizontalPodAutoscaler"):
        spec = autoscaler["spec"]
        if not 1 <= spec["minReplicas"] <= spec["maxReplicas"]:
            yield f"{title(autoscaler)}: its bounds are not in order"
        targets = _target(autoscaler, found)
        if len(targets) != 1:
            yield f"{title(autoscaler)}: its target is not there"
        for target in targets:
            if "replicas" in target["spec"]:
                yield f"{title(target)}: sets replicas, which the autoscaler rules"
        for metric in spec["metrics"]:
            if metric["type"] != "Pods":
                yield f"{title(autoscaler)}: {metric['type']} is not there under MIG"
            elif set(target := metric["pods"]["target"]) != {"type", "averageValue"} or (
                target["type"] != "AverageValue" or quantity(target["averageValue"]) <= 0
            ):
                yield f"{title(autoscaler)}: aims at {target}"


def disruption_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """A budget lets a pod go, and leaves one."""
    ruled = {
        title(target): autoscaler["spec"]["minReplicas"]
        for autoscaler in of_kind(found, "HorizontalPodAutoscaler")
        for target in _target(autoscaler, found)
    }
    workloads = of_kind(found, "Deployment", "StatefulSet")
    budgets = of_kind(found, "PodDisruptionBudget")
    for budget in budgets:
        chosen = selected(workloads, budget["spec"]["selector"])
        if len(chosen) != 1:
            yield f"{title(budget)}: selects {len(chosen)} workloads"
            continue
        least = ruled.get(title(chosen[0]), chosen[0]["spec"].get("replicas", 1))
        if least < 2:
            yield f"{title(budget)}: over a single pod it would block every drain"
        if budget["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield f"{title(budget)}: a pod that is not ready blocks every drain"
        if budget["spec"].get("maxUnavailable") != 1:
            yield f"{title(budget)}: does not let exactly one pod go"
    for workload in workloads:
        least = ruled.get(title(workload), workload["spec"].get("replicas", 1))
        covered = [
            each for each in budgets if workload in selected(workloads, each["spec"]["selector"])
        ]
        if least > 1 and not covered:
            yield f"{title(workload)}: has several pods and no disruption budget"


def writer_faults(found: Sequence[Manifest]) -> Iterator[str]:
    """What has a volume of its own has one pod, which ends before the next one starts."""
    for workload in of_kind(found, "Deployment"):
        volumes = pod_of(workload)["spec"]["volumes"]
        if not any("persistentVolumeClaim" in volume for volume in volumes):
            yield f"{title(workload)}: keeps its state nowhere"
        if workload["spec"].get("replicas") != 1:
            yield f"{title(workload)}: SQLite has one writer"
        if workload["spec"].get("strategy") != {"type": "Recreate"}:
            yield f"{title(workload)}: a second pod may start over the same volume"
    for claim in of_kind(found, "PersistentVolumeClaim"):
        if claim["metadata"].get("annotations", {}).get("helm.sh/resource-policy") != "keep":
            yield f"{title(claim)}: an uninstall deletes the market's data"
