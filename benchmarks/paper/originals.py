"""The task's origins, trained, brought into normal form and counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from benchmarks.paper.corpus import Corpus
from benchmarks.paper.origins import OriginRecipe, origin
from benchmarks.paper.sizes import Size, size_of
from benchmarks.paper.tasks import Task
from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.serialise import to_bytes


@dataclass(frozen=True, eq=False)
class Original:
    """An origin as slicing and baselines take it.

    Attributes:
        recipe: What it was trained with.
        model: Its graph in normal form.
        whole: The same as a fragment of all of it: with the outputs `features` and `scores`.
        size: What it costs, its classifier included.
        feature_width: Features that its classifier reads.
        train_seconds: Wall time of its training, in seconds.
    """

    recipe: OriginRecipe
    model: ir.Model
    whole: bytes
    size: Size
    feature_width: int
    train_seconds: float


@dataclass(frozen=True)
class OriginRequest:
    """Which origins are wanted.

    Attributes:
        task: The task; only origins that a target takes from are trained.
        arch: The architecture's name.
        width: Factor on its channels or units.
        seed: Seed of their training.
    """

    task: Task
    arch: str
    width: float
    seed: int


def prepare_origins(
    request: OriginRequest,
    corpus: Corpus,
    cache: Path,
    report: Callable[[str], None],
) -> Mapping[int, Original]:
    """Trains the origins, or takes them from the cache.

    Args:
        request: Which ones.
        corpus: The data set.
        cache: Folder of trained origins.
        report: Told in a line what is being done.

    Returns:
        By place in the task.
    """
    found = {}
    for place in request.task.wanted:
        classes = request.task.origins[place]
        rows = corpus.train.rows_of(classes)

        def step(done: int, total: int, place: int = place) -> None:
            report(f"training origin {place}: epoch {done} of {total}")

        trained = origin(
            corpus.origin_recipe(classes, request.arch, request.width, request.seed),
            corpus.train.read(rows),
            corpus.train.places(rows, classes),
            cache,
            step,
        )
        model = normalise(load_model(trained.model))
        classifier = find_classifier(model)
        found[place] = Original(
            trained.recipe,
            model,
            to_bytes(as_fragment(model, classifier)),
            size_of(model),
            classifier.feature_width,
            trained.train_seconds,
        )
    return found
