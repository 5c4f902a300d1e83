"""The position R at which a part is put in: from the last to the first, as long as that wins.

Every position is judged by cross-validation on the few samples that there are: in each fold the
adapter and the classifier are fitted anew without it. Test data decide nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch

from onnxgraph.classifier import FEATURES, SCORES
from onnxgraph.halves import INPUT, behind, in_front
from onnxgraph.parity import Runner
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.cloning.distillation import distilled
from packer_svc.cloning.head import clone_losses, fit_clone_head
from packer_svc.cloning.insertion import inserted
from packer_svc.cloning.positions import INPUTS, Splice, splice_named, splices
from packer_svc.fusion.features import Fragment, FragmentFeatures, run_batches
from packer_svc.fusion.heads.folds import MAX_FOLDS, stratified_folds
from packer_svc.fusion.samples import AnyArray, PackSamples
from packer_svc.fusion.stitches import Goal, Stitch, fit_quickly, resized

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

PATIENCE = 2
"""After how many positions in a row that win nothing the walk to the front ends."""

MOST_ROWS = 50_000
"""Positions of samples that an adapter is fitted on."""

RIDGE = 1e-3
"""The ridge of an adapter, as a share of the mean variance of what is read."""

MOST_HELD = 2**30
"""Bytes of a position's tensors, the target's and the part's, on all samples: one that needs more
is not tried unless it is asked for."""

_BATCH = 64


@dataclass(frozen=True)
class Tried:
    """What came of one position.

    Attributes:
        position: The value of the target, or `INPUTS`.
        log_loss: Of samples that adapter and classifier had not seen, in nats.
        accuracy: Of the same samples, in [0, 1].
    """

    position: str
    log_loss: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Chosen:
    """A part, put in.

    Attributes:
        branch: The fragment that it makes with all of the target in front of it.
        position: Where it stands.
        adapter_parameters: Of its adapter; 0 at `INPUTS`.
        distilled: Whether the adapter was trained on from its closed form: only where that wins.
        tried: The positions in the order in which they were tried; empty where none was to choose.
    """

    branch: bytes
    position: str
    adapter_parameters: int
    tried: tuple[Tried, ...]
    distilled: bool = False

    def to_json(self) -> dict[str, object]:
        """What manifest and report say of it."""
        return {
            "position": self.position,
            "adapter_parameters": self.adapter_parameters,
            "distilled": self.distilled,
            "tried": [asdict(one) for one in self.tried],
        }


@dataclass(frozen=True, eq=False)
class Cloning:
    """What is to be cloned.

    Attributes:
        target: The target, a graph with the outputs of a fragment.
        part: The source's part for the wanted classes, likewise, on the same inputs.
        samples: Of all classes: the target's come first.
        own: How many classes the target has.
        places: Of each cloned class its place in the part's scores.
        seed: Of the folds.
    """

    target: bytes
    part: bytes
    samples: PackSamples
    own: int
    places: tuple[int, ...]
    seed: int

    @property
    def smallest(self) -> int:
        """Samples of the class with the fewest."""
        return int(np.bincount(self.samples.labels).min())


def put_in(cloning: Cloning, wanted: str, report: Callable[[str], None]) -> Chosen:
    """Puts a part into a target.

    Args:
        cloning: What is cloned.
        wanted: The position; empty to have it chosen.
        report: Told every position before it is tried.

    Raises:
        FusionError: `CLONE_POSITION_UNKNOWN`.
        GraphError: A graph cannot be cut or run.
    """
    whole = Chosen(cloning.part, INPUTS, 0, ())
    if wanted == INPUTS or (not wanted and cloning.smallest < 2):
        return whole
    found = splices(from_trusted_bytes(cloning.target), from_trusted_bytes(cloning.part))
    if wanted:
        return _made(_Place(cloning, splice_named(found, wanted)), ())
    found = tuple(one for one in found if one.held_bytes(len(cloning.samples.labels)) <= MOST_HELD)
    target = Fragment(cloning.target).run(cloning.samples.inputs)
    report(INPUTS)
    part = Fragment(cloning.part).run(cloning.samples.inputs)
    at_inputs = _judged(cloning, target, lambda _kept: part)
    tried, best, losses = _walk(cloning, found, target, report)
    tried += (_told(INPUTS, at_inputs),)
    if best is None or at_inputs[0].mean() < losses.mean():
        return Chosen(cloning.part, INPUTS, 0, tried)
    report(f"{best.splice.target.value}, distilled")
    trained = _judged(cloning, target, lambda kept: best.part_without(kept, distil=True))
    wins = bool(trained[0].mean() < losses.mean())
    return _made(best, tried, distil=wins)


_Judged = tuple[Array, npt.NDArray[np.bool_]]
"""Of every sample its loss, and whether its class was named."""


def _walk(
    cloning: Cloning,
    found: tuple[Splice, ...],
    target: FragmentFeatures,
    report: Callable[[str], None],
) -> tuple[tuple[Tried, ...], _Place | None, Array]:
    """Goes from the last position to the first, and stops where it no longer wins."""
    best: _Place | None = None
    losses = np.full(len(cloning.samples.labels), np.inf)
    tried: tuple[Tried, ...] = ()
    misses = 0
    for splice in found:
        report(splice.target.value)
        place = _Place(cloning, splice)
        judged = _judged(cloning, target, place.part_without)
        tried += (_told(splice.target.value, judged),)
        if judged[0].mean() < losses.mean():
            best, losses, misses = place, judged[0], 0
        else:
            misses += 1
            if misses == PATIENCE:
                break
    return tried, best, losses


class _Place:
    """A part at one position, with what has been computed there."""

    def __init__(self, cloning: Cloning, splice: Splice) -> None:
        self.cloning = cloning
        self.splice = splice
        target, part = from_trusted_bytes(cloning.target), from_trusted_bytes(cloning.part)
        inputs = cloning.samples.inputs
        read = _run(to_bytes(in_front(target, splice.target)), inputs, splice.target.value)
        self._read = resized(torch.from_numpy(read), splice.part.shape)
        wanted = _run(to_bytes(in_front(part, splice.part)), inputs, splice.part.value)
        self._wanted = torch.from_numpy(wanted)
        self._part = behind(part, splice.part)
        self._rest = Runner(to_bytes(self._part))

    def adapter(self, kept: Labels, *, distil: bool = False) -> Stitch:
        """The adapter that some samples give."""
        cloning = self.cloning
        found = self._closed_form(kept)
        if not distil:
            return found
        inputs = {name: array[kept] for name, array in cloning.samples.inputs.items()}
        wanted = Fragment(cloning.part).run(inputs)
        return distilled(found, self._part, self._read[kept], wanted, cloning.seed)

    def _closed_form(self, kept: Labels) -> Stitch:
        positions = max(int(np.prod(self._read.shape[2:], dtype=np.int64)), 1)
        most = max(MOST_ROWS // positions, 1)
        chosen = kept
        if len(kept) > most:
            chosen = np.random.default_rng(self.cloning.seed).choice(kept, most, replace=False)
        goal = Goal.of(self._wanted[chosen], most * positions)
        return fit_quickly(self._read[chosen], goal, ridge=RIDGE)

    def part_without(self, kept: Labels, *, distil: bool = False) -> FragmentFeatures:
        """What the part says of all samples behind the adapter that some of them give."""
        adapted = self.adapter(kept, distil=distil)(self._read).numpy()
        outputs = run_batches(self._rest, {INPUT: adapted}, (FEATURES, SCORES), batch=_BATCH)
        return FragmentFeatures(outputs[FEATURES], outputs[SCORES])


def _made(place: _Place, tried: tuple[Tried, ...], *, distil: bool = False) -> Chosen:
    cloning = place.cloning
    adapter = place.adapter(np.arange(len(cloning.samples.labels)), distil=distil)
    target, part = from_trusted_bytes(cloning.target), from_trusted_bytes(cloning.part)
    branch = inserted(target, part, place.splice, adapter)
    return Chosen(branch, place.splice.target.value, adapter.parameters, tried, distil)


def _judged(
    cloning: Cloning,
    target: FragmentFeatures,
    part_of: Callable[[Labels], FragmentFeatures],
) -> _Judged:
    labels = cloning.samples.labels
    losses = np.empty(len(labels))
    right = np.empty(len(labels), dtype=np.bool_)
    for kept, held in _folds(cloning):
        features = [target, part_of(kept)]
        training = [one.rows(kept) for one in features]
        head = fit_clone_head(training, labels[kept], cloning.own, cloning.places)
        shown = [one.rows(held) for one in features]
        losses[held] = clone_losses(head, shown, labels[held])
        right[held] = head.probabilities(shown).argmax(axis=1) == labels[held]
    return losses, right


def _folds(cloning: Cloning) -> Iterator[tuple[Labels, Labels]]:
    labels = cloning.samples.labels
    count = min(MAX_FOLDS, cloning.smallest)
    assigned = stratified_folds(labels, count, cloning.seed)
    for fold in range(count):
        yield np.flatnonzero(assigned != fold), np.flatnonzero(assigned == fold)


def _told(position: str, judged: _Judged) -> Tried:
    return Tried(position, float(judged[0].mean()), float(judged[1].mean()))


def _run(graph: bytes, inputs: Mapping[str, AnyArray], output: str) -> FloatArray:
    return run_batches(Runner(graph), inputs, (output,), batch=_BATCH)[output]
