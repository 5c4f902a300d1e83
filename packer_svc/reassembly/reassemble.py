"""Deep model reassembly from models and samples to the network that is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.model import HeadReport
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.stitches import stitch_cost
from packer_svc.reassembly.cutting import AnyArray, CutModel
from packer_svc.reassembly.measured import Measured, measure
from packer_svc.reassembly.network import Network, follows, stitched
from packer_svc.reassembly.program import Choice, Cost, Optimum, Program
from packer_svc.reassembly.seams import seam_probes, seam_shapes, value_at
from packer_svc.reassembly.sets import Block, Cover, Market, equivalence_sets, size_limit

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

PARAMETERS, MACS, SECONDS = "parameters", "macs", "seconds"
"""What may be limited."""
POOL = 8
"""How many of the best choices are stitched and judged by their heads."""
OPTIMUM_SECONDS = 30.0
"""How long the program looks for the best choice, and to prove that it is; what is found by then
counts, with its gap."""
POOL_SECONDS = 60.0
"""How long it looks for all of them together: of large markets fewer are judged."""
MOST_HELD = 64 * 2**20
"""Bytes of one value on the samples that stitches are fitted on."""
FEWEST = 32
"""Samples that they are fitted on however large its values are, if there are as many."""
PROBE = 1.0
"""What the score loses for a block behind which nothing is known of the wanted classes."""

Report = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Wish:
    """What is asked for.

    Attributes:
        inputs: Samples of the wanted classes, one array per input.
        labels: The place of each sample's class, `(n,)`.
        classes: How many classes there are.
        others: Further samples, without labels, that stitches are fitted on as well. While choices
            are compared, stitches are fitted on these alone: else their heads would be judged on
            samples that the features were fitted to.
        budgets: The most of `PARAMETERS`, `MACS` and `SECONDS`; the head counts.
        blocks: K, how many blocks the network has.
        seed: Of all that is drawn at random.
    """

    inputs: Mapping[str, AnyArray]
    labels: Labels
    classes: int
    others: Mapping[str, AnyArray] = field(default_factory=lambda: MappingProxyType({}))
    budgets: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    blocks: int = 4
    seed: int = 0

    @property
    def all_inputs(self) -> dict[str, AnyArray]:
        """The samples and the others."""
        return {
            name: np.concatenate([array, self.others[name]]) if self.others else array
            for name, array in self.inputs.items()
        }


@dataclass(frozen=True, eq=False)
class Judged:
    """One of the best choices, stitched.

    Attributes:
        optimum: The choice.
        network: The network.
        report: How its head was fitted, and what to expect of it.
    """

    optimum: Optimum
    network: Network
    report: HeadReport

    @property
    def log_loss(self) -> float:
        """By cross-validation of its head; of the fit itself where nothing can be held out."""
        held_out = self.report.cross_validation
        return 1.0 - self.report.in_sample_accuracy if held_out is None else held_out.log_loss


@dataclass(frozen=True, eq=False)
class Reassembled:
    """What came out.

    Attributes:
        cover: The blocks and sets.
        judged: The best choices in the order of the program's score; the first is its optimum.
        best: The place of the one that is kept: of the least log loss.
        network: That one, with stitches fitted on all samples.
    """

    cover: Cover
    judged: tuple[Judged, ...]
    best: int
    network: Network

    @property
    def kept(self) -> Judged:
        """The one that is kept."""
        return self.judged[self.best]


class UnreachableError(Exception):
    """No choice keeps to the budgets.

    Attributes:
        least: The smallest budgets that can be met, all smaller or larger by the same factor.
    """

    def __init__(self, least: Mapping[str, float]) -> None:
        super().__init__("no choice of blocks keeps to the budgets")
        self.least = least


def reassemble(
    models: Sequence[CutModel],
    wish: Wish,
    report: Report,
    seconds: Sequence[Sequence[float]] | None = None,
) -> Reassembled:
    """Chooses blocks, stitches them, and keeps the network whose head does best.

    Args:
        models: Models with the same inputs, each of at least `wish.blocks` pieces.
        wish: What is asked for.
        report: Told the phase, and steps done and in all.
        seconds: What every piece of every model takes; needed for a budget of time alone.

    Raises:
        UnreachableError: No choice keeps to the budgets.
        FusionError: DEADLINE_EXCEEDED, no choice was found in time.
        ValueError: There is no model.
    """
    measured = measure(
        models, wish.inputs, wish.labels, lambda done, of: report("measure", done, of)
    )
    market = Market([[p.parameters for p in model.pieces] for model in models], measured.similarity)
    report("sets", 0, 1)
    cover = equivalence_sets(market, wish.blocks, wish.seed)
    probes = seam_probes(
        measured, cover, wish.others or wish.inputs, lambda done, of: report("seams", done, of)
    )
    program = Program(choice_of(measured, cover, wish, probes, seconds), wish.budgets)
    report("program", 0, 1)
    pool = _pool(program)
    most = _most_samples(measured, cover)
    seen = _evenly(wish.others or wish.inputs, most)
    wanted = _wanted(models, cover, [one.blocks for one in pool], seen)
    judged = []
    for done, optimum in enumerate(pool):
        report("stitch", done, len(pool))
        blocks = [cover.blocks[place] for place in optimum.blocks]
        network = stitched(models, blocks, seen, wanted)
        judged.append(Judged(optimum, network, _head(network, wish)))
    best = min(range(len(judged)), key=lambda place: judged[place].log_loss)
    kept = judged[best].optimum.blocks
    seen = _evenly(wish.all_inputs, most)
    wanted = _wanted(models, cover, [kept], seen)
    blocks = [cover.blocks[place] for place in kept]
    network = stitched(models, blocks, seen, wanted)
    return Reassembled(cover, tuple(judged), best, network)


def can_be_cut(model: CutModel, blocks: int) -> bool:
    """Whether a model has enough pieces for so many blocks."""
    return size_limit([piece.parameters for piece in model.pieces], blocks) is not None


def choice_of(
    measured: Measured,
    cover: Cover,
    wish: Wish,
    probes: Mapping[tuple[int, int], float],
    seconds: Sequence[Sequence[float]] | None = None,
) -> Choice:
    """What the program chooses from: scores and costs of blocks and of seams between them.

    Args:
        measured: Models and what samples tell of them.
        cover: Their blocks.
        wish: What is asked for.
        probes: What `seam_probes` tells of the seams.
        seconds: As of `reassemble`.
    """
    models, blocks = measured.models, cover.blocks
    kernels = np.stack([_kernel(measured.kernels[b.model][b.first : b.end]) for b in blocks])
    # Of a block behind another, the seam between both tells what is known behind it.
    known = -PROBE * np.array(
        [measured.probes[b.model][b.end] if b.stage == 0 else 0.0 for b in blocks]
    )
    costs = {
        PARAMETERS: _pieces_cost(models, blocks, "parameters"),
        MACS: _pieces_cost(models, blocks, "macs"),
    }
    last = np.array([block.end == len(models[block.model].pieces) for block in blocks])
    heads = np.array([head_weights(models[block.model], wish.classes) for block in blocks]) * last
    costs[PARAMETERS] += heads
    costs[MACS] += heads
    worth = np.full((len(blocks), len(blocks)), -np.inf)
    extra = {name: np.zeros_like(worth) for name in (PARAMETERS, MACS)}
    for (a, b), missed in probes.items():
        worth[a, b] = -PROBE * missed
        if not follows(blocks[a], blocks[b]):
            shapes = seam_shapes(measured, blocks[a], blocks[b])
            extra[PARAMETERS][a, b], extra[MACS][a, b] = stitch_cost(*shapes)
    priced = {name: Cost(costs[name], extra[name]) for name in costs}
    if seconds is not None:
        times = np.array([sum(seconds[b.model][b.first : b.end]) for b in blocks])
        # What a stitch takes was not measured: as much a MAC as the blocks do.
        rate = times.sum() / max(costs[MACS].sum(), 1.0)
        priced[SECONDS] = Cost(times, extra[MACS] * rate)
    groups = np.array([block.group for block in blocks])
    stages = np.array([block.stage for block in blocks])
    return Choice(groups, stages, kernels, known, worth, priced)


def _pool(program: Program) -> list[Optimum]:
    """The best choices, the best first.

    Raises:
        UnreachableError: There is none.
        FusionError: DEADLINE_EXCEEDED, none was found in time.
    """
    found: list[Optimum] = []
    left = POOL_SECONDS
    while len(found) < POOL and left > 0:
        try:
            optimum = program.best(
                [one.blocks for one in found], seconds=min(left, OPTIMUM_SECONDS)
            )
        except TimeoutError as error:
            if found:
                break
            raise _too_slow(program) from error
        if optimum is None:
            break
        left -= optimum.seconds
        found.append(optimum)
    if not found:
        least = program.least()
        if least is None:
            raise _too_slow(program)
        raise UnreachableError(least)
    return found


def _too_slow(program: Program) -> FusionError:
    return FusionError(
        FusionReason.DEADLINE_EXCEEDED,
        f"Among {program.blocks} blocks no choice that keeps to the budgets was found within "
        f"{OPTIMUM_SECONDS:g} s, and neither was it shown that there is none.",
        advice="Name fewer models, ask for fewer blocks, or allow more.",
        metadata={"blocks": str(program.blocks)},
    )


def _head(network: Network, wish: Wish) -> HeadReport:
    features = network.features(wish.inputs)
    _, report = fit_head([features], wish.labels, wish.classes, HeadSpec(seed=wish.seed))
    return report


def _kernel(pieces: NDArray[np.float32]) -> Array:
    """The pattern kernel of a block, as shares of its activations.

    Counted singly, the activations of large maps in the front would outweigh all others.
    """
    kernel: Array = pieces.sum(axis=0, dtype=np.float64)
    activations = float(np.diagonal(kernel).mean())
    return kernel / activations if activations else kernel


def _pieces_cost(models: Sequence[CutModel], blocks: Sequence[Block], what: str) -> Array:
    return np.array(
        [sum(getattr(p, what) for p in models[b.model].pieces[b.first : b.end]) for b in blocks],
        dtype=float,
    )


def head_weights(model: CutModel, classes: int) -> int:
    """Weights and biases of the largest head behind a model: it reads features and class scores."""
    return (model.features + model.classes + 1) * classes


def _wanted(
    models: Sequence[CutModel],
    cover: Cover,
    chosen: Sequence[Sequence[int]],
    inputs: Mapping[str, AnyArray],
) -> dict[tuple[int, int], Tensor]:
    """What the chosen blocks behind a seam are fed in their own models."""
    blocks = [cover.blocks[place] for places in chosen for place in places]
    points = {block.starts_at for block in blocks if block.first}
    return {point: value_at(models, point, inputs) for point in sorted(points)}


def _most_samples(measured: Measured, cover: Cover) -> int:
    """On how many samples stitches are fitted at most: many values of them are held at once."""
    shapes = [measured.shapes[block.model][block.first] for block in cover.blocks if block.first]
    largest = max(int(np.prod(shape)) for shape in shapes) * np.dtype(np.float32).itemsize
    return max(MOST_HELD // largest, FEWEST)


def _evenly(inputs: Mapping[str, AnyArray], most: int) -> dict[str, AnyArray]:
    """At most so many of the samples."""
    return {name: array[:: -(-len(array) // most)] for name, array in inputs.items()}
