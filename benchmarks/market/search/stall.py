"""A market with everything that is known of it: models, specifications, test pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.market.search.catalogue import Entry
from benchmarks.market.search.models import Model, trained
from benchmarks.market.search.pictures import Pictures, Rows, network_input, resized
from benchmarks.market.search.tasks import Task
from benchmarks.paper.tasks import DataSet
from specification.labelling import Labelling
from specification.making import make
from specification.model import Specification
from svckit.input_spec import FLOAT32, Image, InputSpec

SAMPLES = 40
"""Samples of each class that a model is specified by, of those it was trained on."""
NORMALISATION = Image(False, 0.0, 255.0, (127.5,) * 3, (63.75,) * 3)
INPUT = "image"


@dataclass(frozen=True, eq=False)
class Stall:
    """A market.

    Attributes:
        models: Its models.
        specifications: Theirs.
        outputs: Of each model, the probabilities of every picture of each data set's test part.
        test: The test pictures by data set.
    """

    models: Sequence[Model]
    specifications: Sequence[Specification]
    outputs: Sequence[dict[DataSet, NDArray[np.float32]]]
    test: dict[DataSet, Pictures]

    def names(self) -> list[str]:
        """What the index calls the models."""
        return [f"model-{place:02d}" for place in range(len(self.models))]


def open_stall(
    entries: Sequence[Entry],
    train: dict[DataSet, Pictures],
    test: dict[DataSet, Pictures],
    cache: Path,
    report: Callable[[str], None],
) -> Stall:
    """Trains a market's models, or takes them from the cache, and specifies them.

    Args:
        entries: Which.
        train: Training pictures by data set.
        test: Test pictures by data set.
        cache: Folder of what was computed.
        report: Told what was done.
    """
    models, specifications, outputs = [], [], []
    for entry in entries:
        pictures = train[entry.data]
        model = trained(entry, pictures, cache, lambda *_: None)
        rows = pictures.rows(entry.classes, SAMPLES)
        said = model.outputs(pictures.pixels[rows], cache, f"samples{SAMPLES}")
        labels = pictures.places(rows, entry.classes)
        known = Labelling(tuple(pictures.names[label] for label in entry.classes), labels, said)
        specifications.append(specified(pictures.pixels[rows], entry.kind.side, known, entry.seed))
        models.append(model)
        outputs.append(
            {
                data: model.outputs(part.pixels, cache, f"{data.value}-test{len(part.labels)}")
                for data, part in test.items()
            }
        )
        report(f"{entry.kind.arch} at {entry.kind.side}: {', '.join(known.names)}")
    return Stall(models, specifications, outputs, test)


def specified(
    pixels: NDArray[np.uint8], side: int, labelling: Labelling | None, seed: int
) -> Specification:
    """The specification of pictures of some size, as networks are fed with them."""
    spec = InputSpec(INPUT, (3, side, side), FLOAT32, NORMALISATION)
    return make({INPUT: network_input(resized(pixels, side))}, [spec], labelling, seed=seed)


def of_task(task: Task, part: Pictures, seed: int) -> Specification:
    """The specification that a user makes of a task."""
    names = tuple(part.names[label] for label in task.classes)
    labelling = Labelling(names, part.places(task.shown, task.classes))
    return specified(part.pixels[task.shown], task.side, labelling, seed)


def held_out(stall: Stall, task: Task, model: int) -> tuple[NDArray[np.float32], Rows]:
    """What a model says of a task's held-out pictures, and their places in the task."""
    part = stall.test[task.data]
    return stall.outputs[model][task.data][task.held_out], part.places(task.held_out, task.classes)
