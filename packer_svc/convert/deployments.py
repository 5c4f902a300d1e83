"""Between `packer.v1.Deployment` and `DeploymentRow`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from google.protobuf import json_format
from google.rpc import status_pb2
from sliceandpack.packer.v1 import deployments_pb2 as pb
from sliceandpack.packer.v1 import packs_pb2

from packer_svc.convert.comparison import (
    comparison_violations,
    replica_comparison,
    whole_comparison,
)
from packer_svc.convert.packs import MAX_DISPLAY_NAME, input_specs
from packer_svc.store.tables import DeploymentRow, PackRow, ReplicaRow
from svckit.errors import FieldViolation
from svckit.etags import etag_of
from svckit.input_messages import decode_input
from svckit.status import from_status, to_status

MAX_REPLICA = 128
MAX_PARITY = 64
MAX_PARITY_NAME = 256


def encode_deployment(
    row: DeploymentRow, connected: Collection[str], canary: DeploymentRow | None = None
) -> pb.Deployment:
    """Returns the message of a deployment.

    Args:
        row: The deployment with its replicas.
        connected: The replicas that watch now.
        canary: What is tried beside it, if anything is.
    """
    message = pb.Deployment(
        name=row.name,
        display_name=row.display_name,
        pack=_pack_name(row.pack_id),
        version=row.version,
        previous_pack=_pack_name(row.previous_pack_id),
        state=pb.DeploymentState.Value(f"DEPLOYMENT_STATE_{row.state}"),
        replicas=_replicas(row, connected),
        etag=etag_of(row.name, row.revision),
        canary=None if canary is None else _canary(canary, connected),
    )
    message.create_time.FromDatetime(row.create_time)
    message.update_time.FromDatetime(row.update_time)
    return message


def _canary(row: DeploymentRow, connected: Collection[str]) -> pb.Canary:
    message = pb.Canary(
        model=row.model,
        pack=_pack_name(row.pack_id or row.candidate_pack_id),
        version=row.version or row.candidate_version,
        share=row.share or 0.0,
        state=pb.DeploymentState.Value(f"DEPLOYMENT_STATE_{row.state}"),
        replicas=_replicas(row, connected),
        comparison=whole_comparison(row.replicas),
    )
    message.create_time.FromDatetime(row.create_time)
    return message


def _replicas(row: DeploymentRow, connected: Collection[str]) -> list[pb.ReplicaStatus]:
    """Those that have reported, and those that are connected and have not yet, by name."""
    found = [_replica(row, said, connected) for said in row.replicas]
    silent = set(connected) - {said.replica for said in row.replicas}
    found += [
        pb.ReplicaStatus(replica=name, connected=True, state=pb.DEPLOYMENT_STATE_PENDING)
        for name in silent
    ]
    return sorted(found, key=lambda replica: replica.replica)


def _replica_state(
    row: DeploymentRow, said: ReplicaRow, connected: Collection[str]
) -> pb.DeploymentState.ValueType:
    if said.replica not in connected or said.error:
        return pb.DEPLOYMENT_STATE_DEGRADED
    if said.generation < row.generation:
        return pb.DEPLOYMENT_STATE_PENDING
    wanted = row.candidate_version or row.version
    return pb.DEPLOYMENT_STATE_SERVING if said.version == wanted else pb.DEPLOYMENT_STATE_DEGRADED


def _replica(row: DeploymentRow, said: ReplicaRow, connected: Collection[str]) -> pb.ReplicaStatus:
    packs = {
        row.version: row.pack_id,
        row.previous_version: row.previous_pack_id,
        row.candidate_version: row.candidate_pack_id,
    }
    message = pb.ReplicaStatus(
        replica=said.replica,
        generation=said.generation,
        version=said.version,
        pack=_pack_name(packs.get(said.version) if said.version else None),
        error=status_pb2.Status.FromString(said.error) if said.error else None,
        connected=said.replica in connected,
        parity=[json_format.ParseDict(case, pb.LiveParity()) for case in said.parity],
        state=_replica_state(row, said, connected),
        comparison=replica_comparison(said),
    )
    message.report_time.FromDatetime(said.report_time)
    return message


def encode_desired(row: DeploymentRow, packs: Mapping[str, PackRow]) -> pb.DesiredDeployment | None:
    """Returns what a replica is to serve of a deployment, None for nothing yet.

    Args:
        row: The deployment.
        packs: The packs that it points to, by id.
    """
    switching = row.candidate_pack_id is not None
    pack_id = row.candidate_pack_id if switching else row.pack_id
    if pack_id is None:
        return None
    beside = row.pack_id if switching else row.previous_pack_id
    pack = packs[pack_id]
    message = pb.DesiredDeployment(
        name=row.name,
        generation=row.generation,
        pack=pack.name,
        version=row.candidate_version if switching else row.version,
        labels=pack.labels,
        inputs=input_specs(pack),
    )
    message.graph.name = f"artifacts/{pack.graph_digest}"
    message.graph.size_bytes = pack.graph_size
    message.smoke_test.name = f"artifacts/{pack.smoke_digest}"
    message.smoke_test.size_bytes = pack.smoke_size
    summary = json_format.ParseDict(pack.proof_summary, packs_pb2.ProofSummary())
    if summary.HasField("run_time"):
        message.run_time.CopyFrom(summary.run_time)
    message.none_of_these = _scores_none_of_these(pack)
    if row.canary_of is not None:
        message.canary_of = f"deployments/{row.canary_of}"
    if beside is not None:
        message.previous_version = row.version if switching else row.previous_version
    return message


def text_violations(deployment: pb.Deployment) -> Iterator[FieldViolation]:
    """Yields the broken rules of a deployment's own fields."""
    if len(deployment.display_name) > MAX_DISPLAY_NAME:
        yield FieldViolation("deployment.display_name", f"at most {MAX_DISPLAY_NAME} characters")


def replica_violations(replica: str) -> Iterator[FieldViolation]:
    """Yields what is wrong with a replica's name."""
    if len(replica) > MAX_REPLICA or not replica.isprintable():
        yield FieldViolation("replica", f"at most {MAX_REPLICA} printable characters")


def report_violations(report: pb.ReportReadyRequest) -> Iterator[FieldViolation]:
    """Yields the broken rules of a replica's report."""
    yield from replica_violations(report.replica)
    yield from comparison_violations(report)
    for field in ("generation", "version"):
        if getattr(report, field) < 0:
            yield FieldViolation(field, "it is at least 0")
    if len(report.parity) > MAX_PARITY:
        yield FieldViolation("parity", f"at most {MAX_PARITY} comparisons")
    for place, case in enumerate(report.parity):
        if max(len(case.inputs), len(case.output)) > MAX_PARITY_NAME:
            yield FieldViolation(
                f"parity[{place}]", f"names of at most {MAX_PARITY_NAME} characters"
            )


def decode_parity(report: pb.ReportReadyRequest) -> list[dict[str, Any]]:
    """Returns what a report says of the live answers, as a row keeps it."""
    return [json_format.MessageToDict(case) for case in report.parity]


def decode_error(report: pb.ReportReadyRequest) -> bytes:
    """Returns the error of a report as a row keeps it: cut to a size, empty for none."""
    if not report.HasField("error"):
        return b""
    kept: bytes = to_status(from_status(report.error)).SerializeToString(deterministic=True)
    return kept


def changed_signature(before: PackRow, after: PackRow) -> str:
    """Returns what clients would notice of a switch: "inputs", "outputs", "labels", or nothing."""
    changed = []
    if _signature(before) != _signature(after):
        changed.append("inputs")
    if _scores_none_of_these(before) != _scores_none_of_these(after):
        changed.append("outputs")
    if before.labels != after.labels:
        changed.append("labels")
    return ",".join(changed)


def _signature(pack: PackRow) -> object:
    """What clients send, and how it is to be prepared."""
    return [decode_input(spec) for spec in input_specs(pack)]


def _scores_none_of_these(pack: PackRow) -> bool:
    """Returns whether a pack has an output beside its probabilities."""
    return json_format.ParseDict(pack.options, packs_pb2.PackOptions()).none_of_these


def _pack_name(pack_id: str | None) -> str:
    return f"packs/{pack_id}" if pack_id else ""
