"""What a person is shown of deployments, of their replicas and of their canaries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sliceandpack.packer.v1 import deployments_pb2 as pb

from marketctl.columns import Column, count, moment, share, small
from marketctl.output import Section
from marketctl.session import Session


def state_text(state: pb.DeploymentState.ValueType) -> str:
    """Returns a deployment's state in a word.

    Args:
        state: The state.
    """
    return pb.DeploymentState.Name(state).removeprefix("DEPLOYMENT_STATE_").lower()


COLUMNS = (
    Column("DEPLOYMENT", lambda deployment: deployment.name),
    Column("STATE", lambda deployment: state_text(deployment.state)),
    Column("PACK", lambda deployment: deployment.pack),
    Column("VERSION", lambda deployment: str(deployment.version or ""), True),
    Column("CHANGED", lambda deployment: moment(deployment.update_time), spare=True),
)
CANARY_COLUMN = Column("CANARY", lambda deployment: deployment.canary.pack)
REPLICA_COLUMNS = (
    Column("REPLICA", lambda replica: replica.replica),
    Column("STATE", lambda replica: state_text(replica.state)),
    Column("CONNECTED", lambda replica: "yes" if replica.connected else "no", spare=True),
    Column("SERVES", lambda replica: replica.pack),
    Column("VERSION", lambda replica: str(replica.version or ""), True),
    Column("REPORTED", lambda replica: moment(replica.report_time), spare=True),
    Column("PROBLEM", lambda replica: replica.error.message, words=True),
)
TRAFFIC_COLUMNS = (
    Column("MODEL", lambda shown: shown[0]),
    Column("REQUESTS", lambda shown: count(shown[1].requests), True),
    Column("ERRORS", lambda shown: count(shown[1].errors), True),
    Column("MEAN TIME", lambda shown: _mean(shown[1], "request_seconds"), True),
    Column("IN QUEUE", lambda shown: _mean(shown[1], "queue_seconds"), True, spare=True),
    Column("COMPUTING", lambda shown: _mean(shown[1], "compute_seconds"), True, spare=True),
)
PARITY_COLUMNS = (
    Column("REPLICA", lambda shown: shown[0].replica),
    Column("INPUTS", lambda shown: shown[1].inputs),
    Column("OUTPUT", lambda shown: shown[1].output, spare=True),
    Column("ROWS", lambda shown: str(shown[1].rows), True, spare=True),
    Column("LARGEST DIFFERENCE", lambda shown: small(shown[1].max_absolute_difference), True),
    Column("COSINE", lambda shown: f"{shown[1].cosine_similarity:.6f}", True, spare=True),
    Column("SAME CLASS", lambda shown: share(shown[1].top1_agreement), True),
    Column("PASSED", lambda shown: "yes" if shown[1].passed else "no"),
)


def print_deployment(session: Session, deployment: pb.Deployment) -> None:
    """Prints a deployment, what each replica serves of it, and how its canary does.

    Args:
        session: The session.
        deployment: The deployment.
    """
    facts = [
        ("deployment", deployment.name),
        ("display name", deployment.display_name),
        ("state", state_text(deployment.state)),
        ("pack", deployment.pack),
        ("version", str(deployment.version or "")),
        ("served before", deployment.previous_pack),
        ("changed", moment(deployment.update_time)),
    ]
    session.printer.one(
        deployment,
        [*facts, *_canary_facts(deployment)],
        Section("Replicas", REPLICA_COLUMNS, deployment.replicas),
        Section("Replicas of the canary", REPLICA_COLUMNS, deployment.canary.replicas),
        Section(
            "Asked by clients since the canary began", TRAFFIC_COLUMNS, list(_traffic(deployment))
        ),
        Section("Live answers beside the proof's", PARITY_COLUMNS, _compared(deployment.replicas)),
        Section(
            "Live answers of the canary", PARITY_COLUMNS, _compared(deployment.canary.replicas)
        ),
    )


def _canary_facts(deployment: pb.Deployment) -> Iterator[tuple[str, str]]:
    if deployment.HasField("canary"):
        canary = deployment.canary
        yield "canary", f"{canary.pack}, as {canary.model}"
        yield "canary's share", share(canary.share)
        yield "canary's state", state_text(canary.state)
        agreement = canary.comparison.agreement
        if agreement.rows:
            yield (
                "same class as the canary",
                f"{share(agreement.top1_agreement)} of {agreement.rows} stored samples, "
                f"largest difference {small(agreement.max_absolute_difference)}",
            )


def _traffic(deployment: pb.Deployment) -> Iterator[tuple[str, pb.ModelTraffic]]:
    if deployment.canary.HasField("comparison"):
        comparison = deployment.canary.comparison
        yield deployment.name.removeprefix("deployments/"), comparison.deployment
        yield deployment.canary.model, comparison.canary


def _mean(traffic: pb.ModelTraffic, seconds: str) -> str:
    """A mean time of an answered request; nothing where there is none."""
    if not traffic.requests:
        return "–"
    return f"{1e3 * getattr(traffic, seconds) / traffic.requests:.2f} ms"


def _compared(
    replicas: Iterable[pb.ReplicaStatus],
) -> list[tuple[pb.ReplicaStatus, pb.LiveParity]]:
    return [(replica, case) for replica in replicas for case in replica.parity]
