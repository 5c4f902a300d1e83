"""The models that are served against each other: packs of T1, and their full originals merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.paper.bench import Bench
from benchmarks.paper.experiment import slice_origin, trial_of
from benchmarks.paper.features import guesses
from benchmarks.paper.packs import Labels, Pack, make_pack
from benchmarks.paper.samples import Draw
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS
from benchmarks.paper.trial import Trial
from benchmarks.serve.clients import Images
from onnxgraph.parity import Runner
from onnxgraph.serialise import from_trusted_bytes
from packer_svc.fusion.conversion import adapted, converted
from packer_svc.fusion.inputs import in_eight_bits
from packer_svc.fusion.layout.costs import BATCHES
from packer_svc.fusion.layout.quickest import Laid, Target, plans, quickest
from packer_svc.fusion.precision import Precision, lower
from packer_svc.fusion.probes import Inputs
from packer_svc.fusion.run_time import run_times
from slicer_svc.slicing.recipe import Recipe
from svckit.input_spec import Image, InputSpec

TASK = replace(TASKS["T1"], targets=TASKS["T1"].targets[:1])
"""Three origins, and the pack of one class of each."""

ARCH = "vgg16"
K = 20
FED = InputSpec("image", (3, 32, 32), "float32", Image(False, 0.0, 255.0, (127.5,), (63.75,)))
"""What the origins are fed; see `benchmarks.paper.images`."""
BYTES = in_eight_bits(FED)
REGRET_REPEATS = 25
"""Runs of every layout when the choice is judged."""

IMAGES = 256
"""Test images that clients send."""


_CHOSEN = "chosen"


@dataclass(frozen=True, eq=False)
class Contestant:
    """A model that is served.

    Attributes:
        name: What it is called in Triton.
        graph: The ONNX file.
        accuracy: On the target's test images.
        macs: Multiply-accumulates per sample.
        parameters: Of graph and head.
        images: Test images as clients send them, `(n, 3, 32, 32)`.
    """

    name: str
    graph: bytes
    accuracy: float
    macs: int
    parameters: int
    images: Images

    @property
    def in_bytes(self) -> bool:
        """Whether its images are whole numbers from 0 to 255."""
        return self.images.dtype == np.uint8


Packs = dict[tuple[float, Precision], Contestant]


@dataclass(frozen=True, eq=False)
class Field:
    """All contestants, and what they are asked.

    Attributes:
        ensemble: The full originals merged into one graph with one classifier, fed as the originals
            are.
        ensemble_in_bytes: The same for images in bytes.
        packs: By budget and precision, fed as the originals are.
        packs_in_bytes: The same for images in bytes.
        regret: The largest run time of a chosen layout over that of the quickest, measured again at
            every batch.
    """

    ensemble: Contestant
    ensemble_in_bytes: Contestant
    packs: Mapping[tuple[float, Precision], Contestant]
    packs_in_bytes: Mapping[tuple[float, Precision], Contestant]
    regret: float

    @property
    def all(self) -> tuple[Contestant, ...]:
        """Everyone."""
        packs = (*self.packs.values(), *self.packs_in_bytes.values())
        return (self.ensemble, self.ensemble_in_bytes, *packs)


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
    packs: Packs = {}
    in_bytes: Packs = {}
    regrets = []
    for share in wish.budgets:
        bench = _bench(wish, share)
        draw = Draw(bench.corpus, K, wish.seed, 0)
        trial, labels = trial_of(bench, draw, target)
        pieces = {place: slice_origin(bench, draw, place).pieces for place in TASK.wanted}
        fragments = [pieces[one.origin][one.place].graph for one in TASK.sources(target)]
        pack = _packed(trial, fragments)
        for precision in (Precision.FP32, Precision.INT8):
            name = f"pack-{round(100 * share)}-{precision}"
            for found, fed, graph in (
                (packs, FED, pack.graph),
                (in_bytes, BYTES, adapted(pack.graph, [FED], [BYTES])),
            ):
                shown = converted(trial.samples.inputs, [FED], [fed])
                laid = _laid(graph, precision, shown)
                regrets.append(_regret(laid, graph, precision, shown))
                ready = replace(pack, graph=laid.lowered.graph)
                found[share, precision] = _contestant(name, ready, fed, trial, labels)
    originals = _packed(trial, [original.whole for original in trial.different])
    turned = replace(originals, graph=adapted(originals.graph, [FED], [BYTES]))
    return Field(
        _contestant("ensemble", originals, FED, trial, labels),
        _contestant("ensemble", turned, BYTES, trial, labels),
        packs,
        in_bytes,
        max(regrets),
    )


def _laid(graph: bytes, precision: Precision, inputs: Inputs) -> Laid:
    return quickest(from_trusted_bytes(graph), Target(precision, inputs))


def _regret(laid: Laid, graph: bytes, precision: Precision, inputs: Inputs) -> float:
    """Run time of the chosen layout over that of the quickest, at the batch where it is largest.

    All are measured anew and in turns. Beside the chosen one stand all plans that give every layer
    one layout. The least of many runs is taken: of a few, the noise alone is worth some percent,
    and the maximum over all packs and batches tells the worst of it.
    """
    graphs = {
        str(plan): lower(one, precision, inputs).graph
        for plan, one in plans(from_trusted_bytes(graph), graph).items()
    }
    graphs[_CHOSEN] = laid.lowered.graph
    runners = {name: Runner(graph) for name, graph in graphs.items()}
    turns = dict.fromkeys(BATCHES, (REGRET_REPEATS, REGRET_REPEATS))
    times = run_times(runners, inputs, BATCHES, turns=turns)
    return max(one[_CHOSEN] / min(one.values()) for one in times.values())


def _packed(trial: Trial, graphs: Sequence[bytes]) -> Pack:
    samples = trial.samples
    return make_pack(graphs, samples.inputs, samples.labels, trial.store, trial.seed)


def _contestant(name: str, pack: Pack, fed: InputSpec, trial: Trial, labels: Labels) -> Contestant:
    test = converted(trial.test, [FED], [fed])
    right = guesses(pack.graph, test, 1) == labels
    (images,) = test.values()
    return Contestant(
        name=name if fed is FED else f"{name}-bytes",
        graph=pack.graph,
        accuracy=float(right.mean()),
        macs=pack.size.macs,
        parameters=pack.size.parameters,
        images=np.ascontiguousarray(images[:IMAGES], dtype=fed.element_type),
    )


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
