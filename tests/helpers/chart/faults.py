"""What schemas do not see: whether the manifests of a release fit each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tests.helpers.chart import lifetimes, naming, network, order, pods, scaling, told
from tests.helpers.chart.rendering import Manifest

Rule = Callable[[Sequence[Manifest]], Iterator[str]]

RULES: tuple[Rule, ...] = (
    naming.name_faults,
    naming.reference_faults,
    naming.image_faults,
    naming.account_faults,
    network.selector_faults,
    network.service_faults,
    network.policy_faults,
    network.monitor_faults,
    pods.probe_faults,
    pods.readiness_faults,
    pods.resource_faults,
    pods.security_faults,
    pods.volume_faults,
    pods.device_faults,
    scaling.autoscaler_faults,
    scaling.disruption_faults,
    scaling.writer_faults,
    order.sidecar_faults,
    order.patience_faults,
    order.hook_faults,
    told.address_faults,
    told.folder_faults,
    told.secret_faults,
    told.tls_faults,
    lifetimes.grace_faults,
    lifetimes.connection_faults,
    lifetimes.checksum_faults,
)


def faults(found: Sequence[Manifest]) -> list[str]:
    """Returns what is wrong with the manifests of a release, a line each."""
    return [fault for rule in RULES for fault in rule(found)]
