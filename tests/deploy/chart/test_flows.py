"""Exactly what is needed may flow, and models run as the values say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from serving.model_config import InstanceKind
from serving.reconciler.settings import ReconcilerSettings
from serving.reconciler.site import ServingProfile
from serving.tuning import RunTime
from tests.helpers.chart.parts import WORKLOADS, labels_of, of_kind, selected, settings_of
from tests.helpers.chart.rendering import PROFILES, Manifest, manifests, render

pytestmark = pytest.mark.chart

_COMPONENT = "app.kubernetes.io/component"
FLOWS = {
    ("packer", "slicer", 7101),
    ("test", "slicer", 7101),
    ("triton", "packer", 7102),
    ("test", "packer", 7102),
    ("test", "triton", 8001),
}
"""Who calls whom within a release, and on which port."""


@pytest.mark.parametrize("profile", sorted(set(PROFILES) - {"bare"}))
def test_within_a_release_flows_what_is_needed_and_nothing_else(
    profile: str, rendered: Mapping[str, str]
) -> None:
    found = manifests(rendered[profile])
    outward, inward = set(_flows(found, "egress", "to")), set(_flows(found, "ingress", "from"))
    # A flow wants leave at both ends; Triton's HTTP port is open for who predicts.
    assert outward & inward == FLOWS
    assert outward == FLOWS
    assert inward - outward == {("test", "triton", 8000)}


def test_who_is_named_may_call_what_it_is_named_for(rendered: Mapping[str, str]) -> None:
    found = manifests(rendered["everything"])
    named = set(_named(found))
    assert named == {
        ("slicer", 7101, "market-operators"),
        ("packer", 7102, "market-operators"),
        ("triton", 8000, "shop"),
        ("triton", 8001, "shop"),
        ("slicer", 7190, "monitoring"),
        ("packer", 7190, "monitoring"),
        ("triton", 7190, "monitoring"),
        ("triton", 8002, "monitoring"),
    }


@pytest.mark.parametrize(
    ("profile", "settings", "kind", "instances", "threads"),
    [
        ("laptop", (), InstanceKind.CPU, 2, 1),
        ("default", (), InstanceKind.CPU, 4, 1),
        ("gpu", (), InstanceKind.GPU, 1, 1),
        ("gpu", ("gpu.enabled=false",), InstanceKind.CPU, 8, 1),
        ("gpu", ("triton.instances=3", "triton.intraOpThreads=2"), InstanceKind.GPU, 3, 2),
    ],
)
def test_instances_and_threads_of_a_model_follow_from_the_values(
    profile: str,
    settings: Sequence[str],
    kind: InstanceKind,
    instances: int,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = manifests(render(PROFILES[profile], *settings))
    tuning = _serving_profile(found, monkeypatch).tuning(RunTime(single=0.001, batch=0.008))
    assert (tuning.instances.kind, tuning.instances.count) == (kind, instances)
    assert tuning.threads.intra_op == threads


def _serving_profile(found: Sequence[Manifest], environment: pytest.MonkeyPatch) -> ServingProfile:
    (workload,) = of_kind(found, "StatefulSet")
    (container,) = workload["spec"]["template"]["spec"]["initContainers"]
    for name, value in settings_of(workload, container, found).items():
        environment.setenv(name, value)
    return ReconcilerSettings().profile


def _rules(
    found: Sequence[Manifest], direction: str, side: str
) -> Iterator[tuple[Manifest, Manifest, int]]:
    """Yields pods that a policy is for, a peer that it lets through, and a port."""
    workloads = of_kind(found, *WORKLOADS)
    for policy in of_kind(found, "NetworkPolicy"):
        for workload in selected(workloads, policy["spec"]["podSelector"]):
            for rule in policy["spec"].get(direction, ()):
                for peer in rule[side]:
                    for port in rule["ports"]:
                        yield workload, peer, port["port"]


def _flows(found: Sequence[Manifest], direction: str, side: str) -> Iterator[tuple[str, str, int]]:
    workloads = of_kind(found, *WORKLOADS)
    for workload, peer, port in _rules(found, direction, side):
        if set(peer) == {"podSelector"}:
            for other in selected(workloads, peer["podSelector"]):
                own, its = (labels_of(each)[_COMPONENT] for each in (workload, other))
                yield (its, own, port) if side == "from" else (own, its, port)


def _named(found: Sequence[Manifest]) -> Iterator[tuple[str, int, str]]:
    for workload, peer, port in _rules(found, "ingress", "from"):
        if "namespaceSelector" in peer:
            (namespace,) = peer["namespaceSelector"]["matchLabels"].values()
            yield labels_of(workload)[_COMPONENT], port, namespace
