"""The market's models: trained, kept, and asked once about every picture there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from scipy.special import softmax

from benchmarks.market.search.catalogue import Entry
from benchmarks.market.search.pictures import Pictures, network_input, resized
from benchmarks.paper.origins import OriginRecipe, image_recipe, origin
from benchmarks.paper.storage import load_arrays, save_arrays

TRAINED_ON = 250
"""Training pictures of a class: all that the subset of CIFAR-100 has."""
EPOCHS = 20
BATCH = 64
AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Model:
    """A model of the market.

    Attributes:
        entry: What it knows.
        graph: Its ONNX file's bytes.
        digest: Names it.
    """

    entry: Entry
    graph: bytes
    digest: str

    def outputs(self, pixels: NDArray[np.uint8], cache: Path, key: str) -> NDArray[np.float32]:
        """Its class probabilities `(n, K)` on pictures, from the cache where they are there.

        Args:
            pixels: uint8 `(n, 32, 32, 3)`.
            cache: Folder of what was computed.
            key: Names the pictures.
        """
        path = cache / "outputs" / f"{self.digest}-{key}.npz"
        if not path.exists():
            save_arrays(path, {"outputs": self._run(pixels)})
        return load_arrays(path)["outputs"]

    def _run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        fed = network_input(resized(pixels, self.entry.kind.side))
        parts = [
            session.run(["scores"], {name: fed[start : start + AT_ONCE]})[0]
            for start in range(0, len(fed), AT_ONCE)
        ]
        return np.asarray(softmax(np.concatenate(parts), axis=1), dtype=np.float32)


def trained(
    entry: Entry, train: Pictures, cache: Path, report: Callable[[int, int], None]
) -> Model:
    """Trains a model, or takes it from the cache.

    Args:
        entry: Which one.
        train: The training pictures of its data set.
        cache: Folder of what was computed.
        report: Told epochs done and in all.
    """
    rows = train.rows(entry.classes, TRAINED_ON)
    recipe = recipe_of(entry, train.name, len(rows))
    inputs = network_input(resized(train.pixels[rows], entry.kind.side))
    labels = train.places(rows, entry.classes)
    found = origin(recipe, inputs, labels, cache / "origins", report)
    return Model(entry, found.model, recipe.digest)


def recipe_of(entry: Entry, data: str, examples: int) -> OriginRecipe:
    """How a model of the market is trained: shortly, as markets hold models of all sorts."""
    kind = entry.kind
    name = data if kind.side == 32 else f"{data}, {kind.side}×{kind.side}"
    recipe = image_recipe(name, entry.classes, kind.arch, kind.width, entry.seed, examples)
    return replace(recipe, epochs=EPOCHS, batch=BATCH)
