"""``marketctl deployments``: the names that clients call, and the packs behind them."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from sliceandpack.packer.v1 import deployments_pb2 as pb

from marketctl import canaries
from marketctl.columns import last
from marketctl.command import command
from marketctl.completion import pack_names
from marketctl.deployment_options import (
    AllowSignatureChange,
    DeploymentName,
    PackOption,
    advising_on_signature,
)
from marketctl.deployment_shown import CANARY_COLUMN, COLUMNS, print_deployment
from marketctl.names import condition, full_name
from marketctl.session import Session, pages
from svckit.clients.patience import answer

app = typer.Typer(name="deployments", help="The names that clients call.", no_args_is_help=True)


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
    print_deployment(session, await session.result(session.packer, call, pb.Deployment, title))


@command(app, "switch")
async def switch(
    session: Session,
    deployment: DeploymentName,
    pack: PackOption,
    allow_signature_change: AllowSignatureChange = False,
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
    with advising_on_signature():
        switched = await session.result(session.packer, call, pb.Deployment, title)
    print_deployment(session, switched)


canaries.add_to(app)


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
    tries = any(deployment.HasField("canary") for deployment in found)
    session.printer.many(found, (*COLUMNS, CANARY_COLUMN) if tries else COLUMNS)


@command(app, "show")
async def show(session: Session, deployment: DeploymentName) -> None:
    """Show a deployment, and what each Triton serves of it."""
    request = pb.GetDeploymentRequest(name=full_name("deployments", deployment))
    print_deployment(session, await answer(session.deployments.GetDeployment(request)))


@command(app, "delete")
async def delete(session: Session, deployment: DeploymentName) -> None:
    """Stop serving under a name."""
    name = full_name("deployments", deployment)
    await answer(session.deployments.DeleteDeployment(pb.DeleteDeploymentRequest(name=name)))
    session.printer.done(name, "deleted")
