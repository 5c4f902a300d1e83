"""The commands of ``marketctl deployments`` that try a pack beside the one that serves."""

from __future__ import annotations

from typing import Annotated

import typer
from sliceandpack.packer.v1 import deployments_pb2 as pb

from marketctl.columns import last
from marketctl.command import command
from marketctl.deployment_options import (
    AllowSignatureChange,
    DeploymentName,
    PackOption,
    advising_on_signature,
)
from marketctl.deployment_shown import print_deployment
from marketctl.names import full_name
from marketctl.session import Session
from svckit.clients.patience import answer


def add_to(app: typer.Typer) -> None:
    """Adds the commands.

    Args:
        app: The application of deployments.
    """
    command(app, "canary")(canary)
    command(app, "promote")(promote)
    command(app, "end-canary")(end_canary)


async def canary(
    session: Session,
    deployment: DeploymentName,
    pack: PackOption,
    share: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="The share of requests that our clients send it, from 0 to 1; at 0 it gets those "
            "of clients that name its model.",
        ),
    ],
    allow_signature_change: AllowSignatureChange = False,
    validate_only: Annotated[
        bool, typer.Option("--validate-only", help="Check the request, keep nothing.")
    ] = False,
) -> None:
    """Try a pack beside the one that a deployment serves, as the Triton model NAME--canary.

    With the pack that the canary has already, only its share is changed.
    """
    name = full_name("deployments", deployment)
    request = pb.StartCanaryRequest(
        name=name,
        pack=full_name("packs", pack),
        share=share,
        allow_signature_change=allow_signature_change,
        validate_only=validate_only,
    )
    call = session.deployments.StartCanary(request)
    title = f"Loading the canary of {last(name)}"
    with advising_on_signature():
        found = await session.result(session.packer, call, pb.Deployment, title)
    print_deployment(session, found)


async def promote(session: Session, deployment: DeploymentName) -> None:
    """Switch a deployment to the pack of its canary, then unload the canary."""
    name = full_name("deployments", deployment)
    call = session.deployments.PromoteCanary(pb.PromoteCanaryRequest(name=name))
    title = f"Promoting the canary of {last(name)}"
    print_deployment(session, await session.result(session.packer, call, pb.Deployment, title))


async def end_canary(session: Session, deployment: DeploymentName) -> None:
    """Take a canary back; the deployment serves on as it did."""
    request = pb.EndCanaryRequest(name=full_name("deployments", deployment))
    print_deployment(session, await answer(session.deployments.EndCanary(request)))
