"""The report of a pack: its proof for people, and as data for whoever asks for that."""

from __future__ import annotations

import json
import tempfile
import webbrowser
from pathlib import Path

import typer
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.columns import last
from marketctl.download import DownloadOptions, receive
from marketctl.session import Session
from svckit.artifacts.threads import in_thread
from svckit.errors import FailedPrecondition


def refuse_page(to: DownloadOptions, *, show: bool) -> None:
    """Refuses to write a page where the proof is to be printed as data.

    Raises:
        typer.BadParameter: A page was asked for too.
    """
    for given, option in ((to.to is not None, "--out"), (to.force, "--force"), (show, "--open")):
        if given:
            raise typer.BadParameter(
                "with --output json or yaml the proof is printed and no page written",
                param_hint=option,
            )


def refuse_missing(pack: pb.Pack) -> None:
    """Refuses a pack that was made before there were reports.

    Raises:
        FailedPrecondition: It has none.
    """
    if pack.HasField("report"):
        return
    raise FailedPrecondition(
        reasons.ERROR_REASON_UNSPECIFIED,
        f"{pack.name} was made before packs had a report.",
        advice=f"Read its proof with `marketctl packs download {last(pack.name)} --part proof`, "
        "or make the pack again.",
    )


async def print_proof(session: Session, pack: pb.Pack) -> None:
    """Prints a pack's proof as data.

    Raises:
        ServiceError: The packer refused, or is away for too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "proof.json")
        await receive(session.packer, pack.proof, path)
        session.printer.data(json.loads(await in_thread(path.read_bytes)))


def show_page(session: Session, path: Path) -> None:
    """Shows a page in the browser; where there is none, says where the page is."""
    address = path.resolve().as_uri()
    if not webbrowser.open(address):
        session.printer.warn(f"No browser was found; the page is at {address}")
