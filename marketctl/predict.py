"""``marketctl predict``: asks Triton what is in pictures or samples."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sliceandpack.packer.v1 import deployments_pb2

from marketctl.canary_share import pack_of, share_of_canary, tally_text
from marketctl.columns import Column
from marketctl.command import command
from marketctl.complaints import PrintedComplaints
from marketctl.completion import deployment_names
from marketctl.exit_codes import ExitCode
from marketctl.names import full_name
from marketctl.session import Session
from svckit.clients.patience import answer

if TYPE_CHECKING:
    from marketctl.samples import Sample
    from serving.canary import CanaryClient

OUTPUT = "probabilities"
"""The output of every pack, shape (N, classes)."""

NONE_OF_THESE = "none_of_these"
"""The second output of a pack that was asked for one, shape (N, 1)."""


@dataclass(frozen=True)
class Prediction:
    """What Triton said of one sample.

    Attributes:
        source: The file, with the sample's place in it where it has several.
        classes: Labels with their probabilities, best first.
        none_of_these: How likely it belongs to no class of the pack; None where the pack does not
            tell.
    """

    source: str
    classes: Sequence[tuple[str, float]]
    none_of_these: float | None = None


COLUMNS = (
    Column("SOURCE", lambda prediction: prediction.source),
    Column("CLASS", lambda prediction: prediction.classes[0][0]),
    Column("PROBABILITY", lambda prediction: f"{prediction.classes[0][1]:.4f}", True),
    Column(
        "THEN",
        lambda prediction: ", ".join(f"{name} {p:.4f}" for name, p in prediction.classes[1:]),
        words=True,
        spare=True,
    ),
)
NONE_COLUMN = Column("NONE OF THESE", lambda prediction: f"{prediction.none_of_these:.4f}", True)


def add_to(app: typer.Typer) -> None:
    """Adds the command.

    Args:
        app: The application.
    """
    command(app, "predict")(predict)


async def predict(
    session: Session,
    deployment: Annotated[
        str,
        typer.Argument(
            metavar="DEPLOYMENT", help="deployments/d, or d.", autocompletion=deployment_names
        ),
    ],
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…", exists=True, help="Pictures, folders of pictures, or npz files."
        ),
    ],
    top: Annotated[int, typer.Option(min=1, help="How many classes of each, at most.")] = 5,
    batch: Annotated[
        int, typer.Option(min=1, max=64, help="How many samples a request has, at most.")
    ] = 32,
    canary_share: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The share of requests that the deployment's canary gets; left out, what the "
            "deployment says.",
        ),
    ] = None,
) -> None:
    """Ask a deployment which class pictures or samples are of.

    A picture is decoded, scaled to the model's size and normalised as the model's submission says.
    An npz has an array per input, as the model is fed. A picture of a folder that cannot be read is
    left out; the exit code is then 4. Where the deployment has a canary, some requests are sent to
    that, and to both to compare them; `--canary-share 0` does not.
    """
    from marketctl.samples import read_samples
    from serving.canary import CanaryClient, Sharing
    from serving.client import TritonClient

    name = full_name("deployments", deployment)
    found = await answer(
        session.deployments.GetDeployment(deployments_pb2.GetDeploymentRequest(name=name))
    )
    pack = await pack_of(session, found.pack)
    share = await share_of_canary(session, found, pack, canary_share)
    complaints = PrintedComplaints(session.printer)
    samples = read_samples(paths, list(pack.inputs), complaints)
    async with TritonClient(session.settings.triton) as triton:
        beside = [NONE_OF_THESE] if pack.options.none_of_these else []
        model, classes = name.removeprefix("deployments/"), min(top, len(pack.labels))
        client = CanaryClient(triton, model, Sharing(share, compared=1.0))
        asked = _Question(client, classes, beside)
        told = [prediction async for prediction in asked.answers(samples, batch)]
    if not session.printer.is_table:
        session.printer.data([_data(prediction) for prediction in told])
    elif told:
        session.printer.table((*COLUMNS, NONE_COLUMN) if beside else COLUMNS, told)
    if share:
        session.printer.note(tally_text(client.tally))
    if complaints.count:
        noun = "picture" if complaints.count == 1 else "pictures"
        session.printer.warn(f"{complaints.count} {noun} could not be read.")
        raise typer.Exit(ExitCode.INVALID)


@dataclass(frozen=True)
class _Question:
    """What is asked of Triton about every sample."""

    client: CanaryClient
    classes: int
    beside: Sequence[str]

    async def answers(self, samples: Iterator[Sample], batch: int) -> AsyncIterator[Prediction]:
        """Yields a prediction for each sample; never more than a batch is held."""
        for group in _batches(samples, batch):
            import numpy as np

            inputs = {
                name: np.stack([sample.inputs[name] for sample in group])
                for name in group[0].inputs
            }
            answer = await self.client.classify(
                inputs,
                output=OUTPUT,
                class_count=self.classes,
                key=group[0].source,
                beside=self.beside,
            )
            for place, (sample, row) in enumerate(zip(group, answer.rows, strict=True)):
                classes = [(score.label, score.score) for score in row]
                scores = [float(answer.outputs[name][place, 0]) for name in self.beside]
                yield Prediction(sample.source, classes, *scores)


def _batches(samples: Iterator[Sample], size: int) -> Iterator[list[Sample]]:
    group: list[Sample] = []
    for sample in samples:
        group.append(sample)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _data(prediction: Prediction) -> dict[str, object]:
    found: dict[str, object] = {
        "source": prediction.source,
        "predictions": [
            {"label": label, "probability": probability}
            for label, probability in prediction.classes
        ],
    }
    if prediction.none_of_these is not None:
        found["none_of_these"] = prediction.none_of_these
    return found
