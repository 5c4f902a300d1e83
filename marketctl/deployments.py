"""``marketctl deployments``: the names that clients call, and the packs behind them."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.packer.v1 import deployments_pb2 as pb

from marketctl.columns import Column, last, moment, share, small
from marketctl.command import command
from marketctl.completion import deployment_names, pack_names
from marketctl.names import condition, full_name
from marketctl.output import Section
from marketctl.session import Session, pages
from svckit.clients.patience import answer
from svckit.errors import FailedPrecondition

app = typer.Typer(name="deployments", help="The names that clients call.", no_args_is_help=True)

DeploymentName = Annotated[
    str,
    typer.Argument(
        metavar="DEPLOYMENT", help="deployments/d, or d.", autocompletion=deployment_names
    ),
]
PackOption = Annotated[
    str,
    typer.Option("--pack", metavar="PACK", help="packs/p, or p.", autocompletion=pack_names),
]


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
REPLICA_COLUMNS = (
    Column("REPLICA", lambda replica: replica.replica),
    Column("CONNECTED", lambda replica: "yes" if replica.connected else "no", spare=True),
    Column("SERVES", lambda replica: replica.pack),
    Column("VERSION", lambda replica: str(replica.version or ""), True),
    Column("REPORTED", lambda replica: moment(replica.report_time), spare=True),
    Column("PROBLEM", lambda replica: replica.error.message, words=True),
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


@command(app, "create")
async def create(
    session: Session,
    deployment: DeploymentName,
    pack: PackOption,
    display_name: Annotated[str, typer.Option(help="A name for people.")] = "",
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the request, keep nothing.")
    ] = False,
) -> None:
    """Serve a pack under a new name; done when every connected Triton serves it."""
    name = full_name("deployments", deployment)
    request = pb.CreateDeploymentRequest(
        deployment=pb.Deployment(pack=full_name("packs", pack), display_name=display_name),
        deployment_id=name.removeprefix("deployments/"),
        validate_only=validate_only,
    )
    call = session.deployments.CreateDeployment(request)
    title = f"Deploying {last(name)}"
    _print(session, await session.result(session.packer, call, pb.Deployment, title))


@command(app, "switch")
async def switch(
    session: Session,
    deployment: DeploymentName,
    pack: PackOption,
    allow_signature_change: Annotated[
        bool,
        typer.Option(
            "--allow-signature-change",
            help="Also to a pack with other inputs, outputs or labels.",
        ),
    ] = False,
) -> None:
    """Switch a deployment to another pack, without a failed request on the way."""
    name = full_name("deployments", deployment)
    request = pb.UpdateDeploymentRequest(
        deployment=pb.Deployment(name=name, pack=full_name("packs", pack)),
        update_mask=FieldMask(paths=["pack"]),
        allow_signature_change=allow_signature_change,
    )
    call = session.deployments.UpdateDeployment(request)
    title = f"Switching {last(name)}"
    try:
        switched = await session.result(session.packer, call, pb.Deployment, title)
    except FailedPrecondition as error:
        if error.reason != reasons.ERROR_REASON_SIGNATURE_CHANGED:
            raise
        raise FailedPrecondition(
            error.reason,
            error.message,
            advice="Make a deployment of another name, or give --allow-signature-change.",
            metadata=error.metadata,
        ) from None
    _print(session, switched)


@command(app, "list")
async def list_deployments(
    session: Session,
    state: Annotated[
        str | None, typer.Option(help="Only those in this state, such as SERVING.")
    ] = None,
    pack: Annotated[
        str | None, typer.Option(help="Only those that serve this pack.", autocompletion=pack_names)
    ] = None,
) -> None:
    """List deployments, newest first."""
    wanted = condition(
        state=state.upper() if state else None, pack=full_name("packs", pack) if pack else None
    )
    request = pb.ListDeploymentsRequest(filter=wanted)
    found = await pages(session.deployments.ListDeployments, request, "deployments")
    session.printer.many(found, COLUMNS)


@command(app, "show")
async def show(session: Session, deployment: DeploymentName) -> None:
    """Show a deployment, and what each Triton serves of it."""
    request = pb.GetDeploymentRequest(name=full_name("deployments", deployment))
    _print(session, await answer(session.deployments.GetDeployment(request)))


@command(app, "delete")
async def delete(session: Session, deployment: DeploymentName) -> None:
    """Stop serving under a name."""
    name = full_name("deployments", deployment)
    await answer(session.deployments.DeleteDeployment(pb.DeleteDeploymentRequest(name=name)))
    session.printer.done(name, "deleted")


def _print(session: Session, deployment: pb.Deployment) -> None:
    facts = [
        ("deployment", deployment.name),
        ("display name", deployment.display_name),
        ("state", state_text(deployment.state)),
        ("pack", deployment.pack),
        ("version", str(deployment.version or "")),
        ("served before", deployment.previous_pack),
        ("changed", moment(deployment.update_time)),
    ]
    compared = [(replica, case) for replica in deployment.replicas for case in replica.parity]
    session.printer.one(
        deployment,
        facts,
        Section("Replicas", REPLICA_COLUMNS, deployment.replicas),
        Section("Live answers beside the proof's", PARITY_COLUMNS, compared),
    )
