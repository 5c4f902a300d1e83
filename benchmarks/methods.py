"""``python -m benchmarks.methods``: the slicing methods on digits, same samples, same head.

Every method slices every class of three origins at β = 0.5; packs of {0,3,6}, {1,4,7} and {2,5,8}
are judged on digits that neither training, nor slicing, nor the head has seen. The functions are
those that the services call.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch

from benchmarks import arguments as take
from benchmarks.demo.digits import DigitSplit, LabelledDigits, split_digits
from benchmarks.demo.origins import ARCHITECTURES, export_origin, train_origin
from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.cost import cost
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.serialise import to_bytes
from packer_svc.fusion.features import fragment_features
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadSpec
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.fragments import slice_classes
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.recipe import Method, Recipe
from slicer_svc.slicing.samples import Samples

ORIGINS = {"vgg": (0, 1, 2), "allconv": (3, 4, 5), "mobilenet": (6, 7, 8)}
TARGETS = ((0, 3, 6), (1, 4, 7), (2, 5, 8))
BETA = 0.5
VIEWS = Augmentation(images=("image",), pad=1)


@dataclass(frozen=True)
class Piece:
    """A fragment, or a whole original.

    Attributes:
        graph: The ONNX file.
        parameters: Its floating parameters.
    """

    graph: bytes
    parameters: int


def main() -> int:
    """Runs the comparison and writes ``methods.json``.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="where figures are written")
    parser.add_argument("--seeds", type=take.count, default=3, help="seeds of origins and samples")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(arguments.seeds):
        print(f"seed {seed}", flush=True)
        for name, row in one_seed(seed).items():
            rows.setdefault(name, []).append(row)
    figures = {name: summary(found) for name, found in rows.items()}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "methods.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


def one_seed(seed: int) -> dict[str, dict[str, float]]:
    """Trains the origins once and slices them by every method.

    Returns:
        By method ``accuracy``, ``accuracy_least`` over the targets, ``parameter_share``, and
        ``seconds_per_class``.
    """
    split = split_digits(seed)
    models = {
        name: trained(name, split.train.only(digits), seed) for name, digits in ORIGINS.items()
    }
    whole = {name: whole_piece(model) for name, model in models.items()}
    pieces = {digit: whole[name] for name, digits in ORIGINS.items() for digit in digits}
    full = sum(piece.parameters for piece in whole.values())
    rows = {"ensemble": judged(pieces, split, full) | {"seconds_per_class": 0.0}}
    for method in Method:
        start = time.perf_counter()
        pieces = {}
        for name, digits in ORIGINS.items():
            found = fragments(models[name], split.market.only(digits), method, seed)
            pieces.update(zip(digits, found, strict=True))
        seconds = (time.perf_counter() - start) / len(pieces)
        rows[method.value] = judged(pieces, split, full) | {"seconds_per_class": seconds}
    return rows


def trained(name: str, data: LabelledDigits, seed: int) -> ir.Model:
    """Trains an origin; returns it as the slicer normalises it."""
    network = train_origin(ARCHITECTURES[name], data, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "origin.onnx"
        export_origin(network, path, dynamo=False)
        return normalise(load_model(path.read_bytes()))


def whole_piece(model: ir.Model) -> Piece:
    """Returns an original with the outputs of a fragment."""
    return Piece(to_bytes(as_fragment(model, find_classifier(model))), cost(model).parameters)


def fragments(
    model: ir.Model, market: LabelledDigits, method: Method, seed: int
) -> Sequence[Piece]:
    """Slices every class of a model."""
    samples = Samples({"image": market.images}, market.labels)
    recipe = Recipe(method=method, beta=BETA, seed=seed)
    plan = make_plan(model, samples, recipe, augment=VIEWS)
    classes = range(int(market.labels.max()) + 1)
    return [
        Piece(to_bytes(sliced.model), sliced.cost.parameters)
        for sliced in slice_classes(model, samples, plan, classes, augment=VIEWS)
    ]


def judged(pieces: Mapping[int, Piece], split: DigitSplit, full: int) -> dict[str, float]:
    """Fits a head for every target on the market's samples and tests it on unseen digits."""
    accuracies, sizes = [], []
    for target in TARGETS:
        graphs = [pieces[digit].graph for digit in target]
        market, test = split.market.only(target), split.test.only(target)
        fitted = [fragment_features(graph, {"image": market.images}) for graph in graphs]
        head, _ = fit_head(fitted, market.labels, len(target), HeadSpec())
        seen = [fragment_features(graph, {"image": test.images}) for graph in graphs]
        guesses = head.torch().probabilities(seen).numpy().argmax(axis=1)
        accuracies.append(float(np.mean(guesses == test.labels)))
        sizes.append(sum(pieces[digit].parameters for digit in target))
    return {
        "accuracy": statistics.mean(accuracies),
        "accuracy_least": min(accuracies),
        "parameter_share": statistics.mean(sizes) / full,
    }


def summary(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the means over seeds, and the least accuracy of all."""
    means = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
    return means | {"accuracy_least": min(row["accuracy_least"] for row in rows)}


if __name__ == "__main__":
    sys.exit(main())
