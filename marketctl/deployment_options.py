"""What commands on deployments are told, and what they say where clients would notice a change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from marketctl.completion import deployment_names, pack_names
from svckit.errors import FailedPrecondition

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
AllowSignatureChange = Annotated[
    bool,
    typer.Option(
        "--allow-signature-change",
        help="Also to a pack with other inputs, outputs or labels.",
    ),
]


@contextmanager
def advising_on_signature() -> Iterator[None]:
    """Names the option that allows what was refused, as long as the block lasts.

    Raises:
        FailedPrecondition: What was raised inside, with advice for the command line.
    """
    try:
        yield
    except FailedPrecondition as error:
        if error.reason != reasons.ERROR_REASON_SIGNATURE_CHANGED:
            raise
        raise FailedPrecondition(
            error.reason,
            error.message,
            advice="Make a deployment of another name, or give --allow-signature-change.",
            metadata=error.metadata,
        ) from None
