"""No value is dead: with another one helm renders other manifests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from tests.helpers.chart.rendering import CHART, PROFILES, render

pytestmark = pytest.mark.chart

SECRET = "triton.existingSecret=known"
"""One that helm makes up would be another one each time."""
OTHERS: Mapping[str, str] = {
    "imagePullPolicy": "=Never",
    "imagePullSecrets": "[0]=other",
    "digest": "=sha256:" + "1" * 64,
    "logLevel": "=error",
    "tls.enabled": "=false,tls.mutual=false",
    "tls.mutual": "=false",
    "gpu.enabled": "=false",
    "acceptableError": "=1",
    "instances": "=7",
    "intraOpThreads": "=7",
    "resourceName": "=nvidia.com/gpu.shared",
    "gpu.count": "=0",
    "limits.cpu": "=9",
    "limits.memory": "=33Gi",
    "flavour": "=embedded,triton.gpu.count=0",
    "minReplicas": "=7",
    "topologySpread": "=ScheduleAnyway",
    "targetAverageValue": "=9",
    "serviceMonitor.enabled": "=false,monitoring.rules.enabled=false",
    "rules.enabled": "=false",
    "dns": "[0].podSelector.matchLabels.a=b",
    "operators": "[0].podSelector.matchLabels.a=b",
    "predictors": "[0].podSelector.matchLabels.a=b",
    "networkPolicy.monitoring": "[0].podSelector.matchLabels.a=b",
    "tolerations": "[0].key=other",
    "interval": "=7s",
}
"""Other values, by the end of their path, for those that have to be of a certain form."""


def leaves(values: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, Any]]:
    """Yields the path and the default of every value."""
    for key, value in values.items():
        path = f"{parent}.{key}" if parent else key
        # An empty mapping is a value; so is one of labels.
        if isinstance(value, Mapping) and value and key != "labels":
            yield from leaves(value, path)
        else:
            yield path, value


VALUES = dict(leaves(yaml.safe_load((CHART / "values.yaml").read_text())))


def setting(path: str, value: object) -> str:
    """The value with another one in its place, as `--set` takes it."""
    for end, other in OTHERS.items():
        if f".{path}".endswith(f".{end}"):
            return path + other
    if isinstance(value, bool):
        return f"{path}={str(not value).lower()}"
    if isinstance(value, int):
        return f"{path}={value + 1}"
    if isinstance(value, Mapping):
        return f"{path}.other=label"
    quantity = re.fullmatch(r"(\d+)(m|Mi|Gi)?", str(value))
    if quantity is not None:
        return f"{path}={max(1, int(quantity[1]) - 1)}{quantity[2] or ''}"
    return f"{path}=other"


@cache
def base(profile: str) -> str:
    """A profile as it is."""
    return render(PROFILES[profile], SECRET)


@pytest.mark.parametrize("path", VALUES)
def test_a_value_is_read(path: str) -> None:
    changed = setting(path, VALUES[path])
    # An autoscaler takes the number of replicas over, a claim that is there the size of a new one.
    for profile in ("everything", "laptop"):
        if render(PROFILES[profile], SECRET, changed) != base(profile):
            return
    raise AssertionError(f"nobody reads {changed}")
