"""How canaries do beside their deployments: kept by replica, added up for people.

A replica counts from a moment on, and begins anew when it is started again. What it said before is
then kept as the past: `{"now": …, "past": …}`, each protobuf's JSON of a `CanaryComparison`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from sliceandpack.packer.v1 import deployments_pb2 as pb

from packer_svc.store.tables import ReplicaRow
from svckit.errors import FieldViolation

_COUNTS = ("requests", "errors")
_SECONDS = ("request_seconds", "queue_seconds", "compute_seconds")


def comparison_violations(report: pb.ReportReadyRequest) -> Iterator[FieldViolation]:
    """Yields the broken rules of what a replica says of a canary."""
    said = report.comparison
    for traffic in (said.deployment, said.canary):
        figures = [getattr(traffic, name) for name in (*_COUNTS, *_SECONDS)]
        if not all(math.isfinite(figure) and figure >= 0 for figure in figures):
            yield FieldViolation("comparison", "counts and seconds are finite and at least 0")
    agreement = said.agreement
    if agreement.rows < 0 or not 0 <= agreement.top1_agreement <= 1:
        yield FieldViolation("comparison.agreement", "rows are at least 0, the share is in [0, 1]")
    if not agreement.max_absolute_difference >= 0:
        yield FieldViolation("comparison.agreement", "the difference is at least 0")


def kept_comparison(
    before: Mapping[str, Any] | None, said: pb.CanaryComparison
) -> dict[str, dict[str, Any]]:
    """Returns what is kept of a replica's comparisons after another one.

    Args:
        before: What was kept.
        said: What the replica says now, in place of what it said since the same moment.
    """
    now, past = _parts(before)
    if now.start_time != said.start_time:
        past = _continued(past, now)
    return {"now": json_format.MessageToDict(said), "past": json_format.MessageToDict(past)}


def replica_comparison(said: ReplicaRow) -> pb.CanaryComparison | None:
    """Returns all that a replica saw of a canary, None if it has said nothing."""
    if said.comparison is None:
        return None
    now, past = _parts(said.comparison)
    return _continued(past, now)


def whole_comparison(replicas: Iterable[ReplicaRow]) -> pb.CanaryComparison | None:
    """Returns what all replicas saw together, None if none of them has said anything."""
    parts = [part for part in map(replica_comparison, replicas) if part is not None]
    if not parts:
        return None
    total = _sum(parts)
    agreements = [part.agreement for part in parts if part.agreement.rows]
    if agreements:
        # All ask the same samples: to add them up would make more of them than there are.
        total.agreement.CopyFrom(min(agreements, key=lambda found: found.top1_agreement))
        total.agreement.max_absolute_difference = max(
            found.max_absolute_difference for found in agreements
        )
    return total


def _parts(kept: Mapping[str, Any] | None) -> tuple[pb.CanaryComparison, pb.CanaryComparison]:
    now, past = (
        json_format.ParseDict((kept or {}).get(name, {}), pb.CanaryComparison())
        for name in ("now", "past")
    )
    return now, past


def _continued(past: pb.CanaryComparison, now: pb.CanaryComparison) -> pb.CanaryComparison:
    """What one replica saw before and after a restart; the newer agreement replaces the older."""
    total = _sum((past, now))
    for part in (past, now):
        if part.HasField("agreement"):
            total.agreement.CopyFrom(part.agreement)
    return total


def _sum(parts: Sequence[pb.CanaryComparison]) -> pb.CanaryComparison:
    """Adds traffic up, since the earliest moment; agreement is no sum."""
    total = pb.CanaryComparison()
    for model in ("deployment", "canary"):
        traffic = getattr(total, model)
        for name in (*_COUNTS, *_SECONDS):
            setattr(traffic, name, sum(getattr(getattr(part, model), name) for part in parts))
    starts = [part.start_time for part in parts if part.HasField("start_time")]
    if starts:
        total.start_time.CopyFrom(min(starts, key=lambda start: start.ToNanoseconds()))
    return total
