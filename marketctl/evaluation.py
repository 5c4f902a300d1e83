"""By what packs are judged: the samples that are sent for it, and how the outcome is shown."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.columns import share
from marketctl.progress import transfer_progress
from marketctl.session import Session
from svckit.clients.artifacts import upload


class Evaluation(StrEnum):
    """How a pack is judged that has no evaluation samples."""

    HEAD_ALONE = "head-alone"
    SLICED_ANEW = "sliced-anew"


SamplesFile = Annotated[
    Path | None,
    typer.Option(
        "--evaluation-samples",
        exists=True,
        dir_okay=False,
        metavar="NPZ",
        help="Samples that nothing has seen, to judge the pack by: one array per input, by its "
        "name, and `labels`, the pack's labels as text.",
    ),
]

_KINDS = {
    pb.EVALUATION_KIND_HEAD_ALONE: "by cross-validation of the head alone: optimistic",
    pb.EVALUATION_KIND_SLICED_ANEW: "by cross-validation that sliced anew",
    pb.EVALUATION_KIND_EVALUATION_SAMPLES: "on evaluation samples",
}


async def sent_samples(session: Session, path: Path | None) -> str:
    """Sends evaluation samples to the packer; returns the artifact's name, empty for none.

    Raises:
        ServiceError: The packer refused.
    """
    if path is None:
        return ""
    with transfer_progress(session.printer, f"Sending {path.name}") as on_progress:
        return (await upload(session.packer.channel, path, on_progress=on_progress)).name


def error_text(proof: pb.ProofSummary) -> str:
    """Returns what is known of a pack's error."""
    if not proof.HasField("evaluation"):
        return "not judged"
    found = proof.evaluation
    return (
        f"{share(found.error)} of {found.samples} samples, "
        f"{share(found.error_upper_bound)} at most with 95 % confidence; "
        f"{_KINDS.get(found.kind, 'by an unknown kind')}"
    )


def acceptance_facts(pack: pb.Pack) -> list[tuple[str, str]]:
    """Returns whether the market accepts a pack, as a line to show; none where it sets no limit."""
    if not pack.HasField("acceptance"):
        return []
    found = pack.acceptance
    verdict = "yes" if found.accepted else "no, it cannot be deployed"
    return [("accepted", f"{verdict}: the market accepts {share(found.acceptable_error)} at most")]
