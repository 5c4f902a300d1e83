"""Deep model reassembly: is the optimum proven, and does the network beat each model by itself?

A market of twelve models of CIFAR-10: three sets of three classes, each learnt by VGG16 at a
quarter and at half of its width, ResNet34 at an eighth and a small network of three convolutions. A
pack of one class of each set is wanted, of k samples a class and no more parameters than a share of
the largest model's. The new network is compared with every model of the market within that budget,
its body as it is and a head fitted on the same samples by the same closed form. Test pictures are
seen by finished networks alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import arguments as take
from benchmarks.paper.command_line import write_measured
from benchmarks.paper.corpus import Corpus, read_corpus
from benchmarks.paper.origins import origin
from benchmarks.paper.samples import Draw
from benchmarks.paper.statistics import paired_difference
from benchmarks.paper.storage import key_of, save_json, source_of
from benchmarks.paper.tasks import TASKS, Classes, DataSet
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.serialise import to_bytes
from packer_svc.fusion.features import Fragment, FragmentFeatures
from packer_svc.fusion.heads.fit import fit_head, head_logits
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.reassembly.cutting import CutModel, cut
from packer_svc.reassembly.reassemble import (
    PARAMETERS,
    Reassembled,
    Wish,
    head_weights,
    reassemble,
)
from packer_svc.reassembly.views import Pictures, with_views
from svckit.cores import usable_cores

Right = NDArray[np.bool_]

PROGRAM = "python -m benchmarks.market --only reassembly"
INPUT = "image"
SOURCES = (
    "packer_svc/reassembly",
    "packer_svc/fusion/stitches.py",
    "benchmarks/market/reassembly.py",
)
"""What makes the figures: of another source earlier ones are not kept."""
MARKET = (("vgg16", 0.25, None), ("vgg16", 0.5, None), ("resnet34", 0.125, 0), ("cnn4", 1.0, 0))
"""Architecture, width and seed of the weights; None for the market's own."""


@dataclass(frozen=True, eq=False)
class Market:
    """Twelve models and what they are asked for.

    Attributes:
        corpus: CIFAR-10.
        seed: Of weights and samples.
        models: The models, cut.
    """

    corpus: Corpus
    seed: int
    models: Sequence[CutModel]

    @property
    def largest(self) -> int:
        """The parameters of the largest model."""
        return max(model.parameters for model in self.models)


@dataclass(frozen=True, eq=False)
class Asked:
    """One pack that is wanted.

    Attributes:
        target: Its classes.
        wish: Samples and budget.
        test: Test pictures.
        labels: The places of their classes.
    """

    target: Classes
    wish: Wish
    test: NDArray[np.generic]
    labels: NDArray[np.int64]


def main(arguments: Sequence[str] | None = None) -> int:
    """Reassembles, measures, and writes ``reassembly.json``.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `write_measured`.
    """
    return write_measured(_parser(), arguments, measured, lambda _: "reassembly.json")


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--data", type=Path, required=True, help="folder of CIFAR-10")
    add("--out", type=Path, required=True, help="folder of results; .cache in it is shared by runs")
    add("--seeds", type=take.count, default=3, help="markets and draws of samples")
    add("--k", type=take.count, default=20, help="samples of each class")
    add("--per-class", type=take.count, default=300, help="test pictures of each class")
    add("--budget-params", type=take.share, default=0.3, help="share of the largest model's")
    add("--threads", type=take.count, default=usable_cores(), help="of training and measuring")
    add("--force", action="store_true", help="replace a document that is there")
    return found


def measured(parsed: argparse.Namespace) -> Mapping[str, object]:
    """Runs every seed's market and target; figures of earlier runs of the same code are kept."""
    corpus = read_corpus(DataSet.CIFAR10, parsed.data)
    found: list[list[Mapping[str, Any]]] = []
    for seed in range(parsed.seeds):
        market: Market | None = None
        rows = []
        for target in TASKS["T1"].targets:
            asked = [seed, list(target), parsed.k, parsed.per_class, parsed.budget_params]
            source = source_of(*SOURCES)
            path = parsed.out / ".cache" / "reassembly" / f"{key_of(asked, source)}.json"
            if not path.exists():
                market = market or _market(corpus, seed, parsed.out / ".cache")
                save_json(path, _of_target(market, _asked(market, target, parsed)))
            rows.append(json.loads(path.read_text()))
        found.append(rows)
    return summary(found)


def _market(corpus: Corpus, seed: int, cache: Path) -> Market:
    """Trains the models, or takes them from the cache, and cuts them."""
    few = {INPUT: corpus.train.read(np.arange(3))}
    models = []
    for arch, width, own in MARKET:
        for classes in TASKS["T1"].origins:
            recipe = corpus.origin_recipe(classes, arch, width, seed if own is None else own)
            rows = corpus.train.rows_of(classes)
            trained = origin(
                recipe,
                corpus.train.read(rows),
                corpus.train.places(rows, classes),
                cache / "origins",
                lambda done, of, arch=arch: _say(f"training {arch}: epoch {done} of {of}"),  # type: ignore[misc]
            )
            kept = cache / "normalised" / f"{recipe.digest}.onnx"
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(to_bytes(normalise(load_model(trained.model))))
            name = f"{arch}-{width:g}-{''.join(map(str, classes))}"
            models.append(cut(name, kept.read_bytes(), few))
    return Market(corpus, seed, models)


def _asked(market: Market, target: Classes, parsed: argparse.Namespace) -> Asked:
    corpus, draw = market.corpus, Draw(market.corpus, parsed.k, market.seed, 0)
    known = [label for classes in TASKS["T1"].origins for label in classes]
    rest = tuple(label for label in known if label not in target)
    samples = draw.samples(target, INPUT)
    others = draw.samples(rest, INPUT).inputs
    pictures = {INPUT: Pictures(channels_last=False, mirrored=True)}
    rows = np.concatenate([corpus.test.rows_of((c,))[: parsed.per_class] for c in target])
    wish = Wish(
        samples.inputs,
        samples.labels,
        len(target),
        with_views(others, pictures, market.seed),
        {PARAMETERS: parsed.budget_params * market.largest},
        seed=market.seed,
    )
    return Asked(target, wish, corpus.test.read(rows), corpus.test.places(rows, target))


def _of_target(market: Market, asked: Asked) -> Mapping[str, Any]:
    name = f"seed {market.seed}, classes {', '.join(map(str, asked.target))}"
    start = time.process_time()
    made = reassemble(
        market.models, asked.wish, lambda phase, done, of: _say(f"{name}: {phase} {done} of {of}")
    )
    seconds = time.process_time() - start
    graph = made.network.graph()
    ours = _judged(Fragment(to_bytes(graph)), asked)
    budget = asked.wish.budgets[PARAMETERS]
    singles = {}
    for model in market.models:
        size = model.parameters + head_weights(model, asked.wish.classes)
        if size <= budget:
            singles[model.name] = _judged(Fragment(to_bytes(model.graph)), asked) | {
                "parameters": size,
                "macs": model.macs,
            }
    return {
        "target": list(asked.target),
        "budget": budget,
        "reassembled": ours | _told(made),
        "singles": singles,
        "seconds": seconds,
    }


def _judged(body: Fragment, asked: Asked) -> dict[str, Any]:
    """A head on a frozen body: cross-validated on the samples, and right or wrong on test data."""
    features = body.run(asked.wish.inputs)
    head, report = fit_head(
        [features], asked.wish.labels, asked.wish.classes, HeadSpec(seed=asked.wish.seed)
    )
    seen: FragmentFeatures = body.run({INPUT: asked.test})
    right = head_logits(head, [seen]).argmax(axis=1) == asked.labels
    held_out = report.cross_validation
    return {
        "accuracy": float(right.mean()),
        "log_loss": None if held_out is None else held_out.log_loss,
        "right": [int(one) for one in right],
    }


def _told(made: Reassembled) -> dict[str, Any]:
    optimum, kept = made.judged[0].optimum, made.network
    return {
        "blocks": [f"{kept.models[b.model].name}[{b.first}:{b.end}]" for b in kept.blocks],
        "parameters": kept.parameters,
        "macs": kept.macs,
        "score": optimum.score,
        "bound": optimum.bound,
        "gap": optimum.gap,
        "largest_pool_gap": max(one.optimum.gap for one in made.judged),
        "program_seconds": optimum.seconds,
        "pool_seconds": sum(one.optimum.seconds for one in made.judged),
        "rounds": optimum.rounds,
        "kept": made.best + 1,
        "judged_log_losses": [one.log_loss for one in made.judged],
    }


def summary(found: Sequence[Sequence[Mapping[str, Any]]]) -> Mapping[str, object]:
    """Means over seeds and targets, with 95 % intervals of paired differences."""
    ours = [[_right(row["reassembled"]) for row in rows] for rows in found]
    # What the samples would have one choose, and what only the test data know to be the best.
    chosen = [[_right(_least_loss(row)) for row in rows] for rows in found]
    best = [[_right(_most_right(row)) for row in rows] for rows in found]
    rows = [row for one in found for row in one]
    return {
        "accuracy": float(np.mean([one.mean() for seed in ours for one in seed])),
        "single_accuracy": float(np.mean([one.mean() for seed in chosen for one in seed])),
        "best_single_accuracy": float(np.mean([one.mean() for seed in best for one in seed])),
        "over_single": vars(paired_difference(ours, chosen)),
        "over_best_single": vars(paired_difference(ours, best)),
        "largest_gap": max(row["reassembled"]["gap"] for row in rows),
        "largest_program_seconds": max(row["reassembled"]["program_seconds"] for row in rows),
        "parameters": float(np.mean([row["reassembled"]["parameters"] for row in rows])),
        "macs": float(np.mean([row["reassembled"]["macs"] for row in rows])),
        "rows": [_without_answers(row) for row in rows],
    }


def _right(one: Mapping[str, Any]) -> Right:
    return np.array(one["right"], dtype=bool)[None]


def _least_loss(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = min(row["singles"].values(), key=lambda one: one["log_loss"])
    return found


def _most_right(row: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = max(row["singles"].values(), key=lambda one: one["accuracy"])
    return found


def _without_answers(row: Mapping[str, Any]) -> dict[str, Any]:
    def short(one: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in one.items() if key != "right"}

    singles = {name: short(one) for name, one in row["singles"].items()}
    return {**row, "reassembled": short(row["reassembled"]), "singles": singles}


def _say(text: str) -> None:
    sys.stderr.write(f"\r\x1b[K{text}")
    sys.stderr.flush()
