"""The models that are served against each other: packs of T1, and their full originals merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.bench import Bench
from benchmarks.paper.experiment import slice_origin, trial_of
from benchmarks.paper.features import guesses
from benchmarks.paper.packs import Labels, Pack, make_pack
from benchmarks.paper.samples import Draw
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS
from benchmarks.paper.trial import Trial
from packer_svc.fusion.layout import Laid, layouts, quickest
from packer_svc.fusion.precision import Precision, lower
from packer_svc.fusion.run_time import run_time
from slicer_svc.slicing.recipe import Recipe

TASK = replace(TASKS["T1"], targets=TASKS["T1"].targets[:1])
"""Three origins, and the pack of one class of each."""

ARCH = "vgg16"
K = 20
IMAGES = 256
"""Test images that clients send."""


@dataclass(frozen=True, eq=False)
class Contestant:
    """A model that is served.

    Attributes:
        name: What it is called in Triton.
        graph: The ONNX file.
        accuracy: On the target's test images.
        macs: Multiply-accumulates per sample.
        parameters: Of graph and head.
    """

    name: str
    graph: bytes
    accuracy: float
    macs: int
    parameters: int


@dataclass(frozen=True, eq=False)
class Field:
    """All contestants, and what they are asked.

    Attributes:
        ensemble: The full originals merged into one graph with one classifier.
        packs: By budget and precision.
        images: Test images `(n, 3, 32, 32)`, float32.
        regret: The largest run time of a chosen layout over that of the quickest, measured again.
    """

    ensemble: Contestant
    packs: Mapping[tuple[float, Precision], Contestant]
    images: NDArray[np.float32]
    regret: float


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        data: Folder of the data sets.
        out: Folder of results; its `.cache` holds what runs share.
        width: Factor on the origins' channels.
        seed: Of origins and samples.
        budgets: Shares of the MACs.
        block: Channels are kept in multiples of this.
        threads: Processor threads of training and slicing.
    """

    data: Path
    out: Path
    width: float
    seed: int
    budgets: tuple[float, ...]
    block: int
    threads: int


def field(wish: Wish) -> Field:
    """Trains the origins, slices them under every budget and packs T1's first target.

    Raises:
        DataMissingError: The data set is not there.
        SlicingError: A budget cannot be met.
    """
    (target,) = TASK.targets
    packs, regrets = {}, []
    for share in wish.budgets:
        bench = _bench(wish, share)
        draw = Draw(bench.corpus, K, wish.seed, 0)
        trial, labels = trial_of(bench, draw, target)
        pieces = {place: slice_origin(bench, draw, place).pieces for place in TASK.wanted}
        fragments = [pieces[one.origin][one.place].graph for one in TASK.sources(target)]
        pack = _packed(trial, fragments)
        for precision in (Precision.FP32, Precision.INT8):
            laid = _laid(pack, precision, trial)
            graph = laid.lowered.graph
            regrets.append(_regret(laid, pack, precision, trial))
            name = f"pack-{round(100 * share)}-{precision}"
            packs[share, precision] = _contestant(name, pack, graph, trial, labels)
    originals = _packed(trial, [original.whole for original in trial.different])
    (images,) = trial.test.values()
    return Field(
        _contestant("ensemble", originals, originals.graph, trial, labels),
        packs,
        np.ascontiguousarray(images[:IMAGES], dtype=np.float32),
        max(regrets),
    )


def _laid(pack: Pack, precision: Precision, trial: Trial) -> Laid:
    inputs = trial.samples.inputs
    return quickest(pack.graph, inputs, lambda graph: lower(graph, precision, inputs), threads=1)


def _regret(laid: Laid, pack: Pack, precision: Precision, trial: Trial) -> float:
    """Run time of the chosen layout over that of the quickest, all measured anew."""
    inputs = trial.samples.inputs
    times = {
        layout: run_time(lower(graph, precision, inputs).graph, inputs).batch_seconds
        for layout, graph in layouts(pack.graph).items()
    }
    return times[laid.layout] / min(times.values())


def _packed(trial: Trial, graphs: Sequence[bytes]) -> Pack:
    samples = trial.samples
    return make_pack(graphs, samples.inputs, samples.labels, trial.store, trial.seed)


def _contestant(name: str, pack: Pack, graph: bytes, trial: Trial, labels: Labels) -> Contestant:
    right = guesses(graph, trial.test, 1) == labels
    return Contestant(name, graph, float(right.mean()), pack.size.macs, pack.size.parameters)


def _bench(wish: Wish, share: float) -> Bench:
    setting = Setting(
        task=TASK.name,
        arch=ARCH,
        k=K,
        slicing=Recipe(budget_macs=share, block=wish.block),
        data=wish.data,
        out=wish.out,
        method="closed_form",
        width=wish.width,
        seed=wish.seed,
        baselines=(),
        threads=wish.threads,
    )
    return Bench.of(setting, TASK)
