"""How likely it is that an input belongs to no class of a pack, in closed form.

Every class is told from all else (the other classes of the pack, and the samples of classes that
are outside of it) by ridge regression on its indicator. The score is by how little the class that
an input fits best claims it: the least of the negated answers, which is one linear layer and one
minimum. Of outside classes it knows only that they are outside.

Why this one (``python -m benchmarks.none_of_these``): with samples outside it is about level with
discriminants of "outside" as a class more, without them with the energy of the head's logits, and
is one score for both. How sure the head is, is far worse with samples outside; the distance to the
nearest class mean is far worse without them and on other kinds of pictures.

The score becomes a probability by logistic regression (Platt 1999) on scores of samples that their
fit has not seen, at even odds of inside and outside. Whole outside classes are left out for it:
what the score is worth on a class that it has seen samples of would say nothing of other classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.columns import Standardisation, blocks, standardise_columns
from packer_svc.fusion.heads.folds import MAX_FOLDS, stratified_folds
from packer_svc.fusion.heads.model import Linear
from packer_svc.fusion.heads.platt import Platt, fit_platt
from packer_svc.fusion.heads.spec import HeadInputs
from packer_svc.fusion.roc import Roc, roc

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SCORE = "one class against all else, by ridge regression"
"""What the score is called in a proof."""

RIDGE = 0.02
"""Of the mean squares of the standardised columns, of which every block has a total variance of
one: between a tenth and five times as much the area under the curve moves by less than 0.02."""

MOST_ROUNDS = 10
"""Of the cross-validation. With fewer classes to leave out than this each is left out alone: of few
classes two at once would be much of what is known."""

OUTSIDE = "other classes of the market's models"
OWN = "the pack's own classes, one left out at a time"


@dataclass(frozen=True)
class NoneOfThese:
    """The fitted score, its parts apart.

    σ(slope·min_c(−f_c) + offset), f = classes((x − mean)·scale) on the concatenated columns x.

    Attributes:
        inputs: Which outputs of the fragments x holds.
        standardisation: mean and scale of the columns.
        classes: How much each class claims an input `(p, C)`.
        platt: The calibration.
    """

    inputs: HeadInputs
    standardisation: Standardisation
    classes: Linear
    platt: Platt

    def probability(self, features: Sequence[FragmentFeatures]) -> Array:
        """The score `(N, 1)` in [0, 1], nothing folded: the reference of every proof."""
        columns = np.concatenate(blocks(features, self.inputs), axis=1)
        claims = self.standardisation.apply(columns) @ self.classes.weight + self.classes.bias
        return self.platt(-claims.max(axis=1, keepdims=True))

    def folded(self) -> Linear:
        """One layer `(p, C)` on raw columns; σ of the least of its outputs is the score."""
        weight = -self.platt.slope * self.standardisation.scale[:, None] * self.classes.weight
        bias = self.platt.offset - self.platt.slope * self.classes.bias
        return Linear(weight, bias - self.standardisation.mean @ weight)


@dataclass(frozen=True)
class NoneReport:
    """What the score is worth, on samples that its fit has not seen.

    Attributes:
        roc: The curve; positive is outside.
        samples_inside: Samples of the pack's classes that it was drawn from.
        samples_outside: Samples outside.
        origin: What stood for outside: `OUTSIDE` or `OWN`.
    """

    roc: Roc
    samples_inside: int
    samples_outside: int
    origin: str

    def to_json(self) -> dict[str, object]:
        """As it stands in proof and manifest."""
        curve = self.roc.curve
        return {
            "auc": self.roc.auc,
            "threshold": self.roc.threshold,
            "roc": {
                "false_positive_rate": list(curve.false_positive_rate),
                "true_positive_rate": list(curve.true_positive_rate),
            },
            "samples_inside": self.samples_inside,
            "samples_outside": self.samples_outside,
            "origin": self.origin,
            "score": SCORE,
        }


@dataclass(frozen=True)
class NoneSamples:
    """What the score is fitted on.

    Attributes:
        features: One entry per fragment, on all `n` samples, those outside of the pack too.
        labels: `(n,)`: class indices in [0, classes), and beyond them one number for each class
            outside.
        classes: C of the pack.
        serves: Per fragment the classes that it was cut for.
    """

    features: Sequence[FragmentFeatures]
    labels: Labels
    classes: int
    serves: Sequence[Sequence[int]]

    @property
    def outside(self) -> Labels:
        """The numbers of the classes outside."""
        return np.unique(self.labels[self.labels >= self.classes])


@dataclass(frozen=True)
class _Round:
    """One step of the cross-validation.

    Attributes:
        trained: Samples that the score is fitted on.
        inside: Samples of the pack's classes that are held out.
        outside: Samples that stand for what is outside, unseen.
        without: Classes whose fragments are left out as well.
    """

    trained: Mask
    inside: Mask
    outside: Mask
    without: frozenset[int] = frozenset()


def fit_none_of_these(
    samples: NoneSamples, seed: int, inputs: HeadInputs = HeadInputs.BOTH
) -> tuple[NoneOfThese, NoneReport]:
    """Fits and calibrates the score, and draws its curve.

    Args:
        samples: Of the pack's classes and of those outside.
        seed: Of the folds.
        inputs: Which outputs of the fragments it reads, whichever the head does: where class scores
            are enough to tell classes apart, features still tell more of what is outside.

    Raises:
        FusionError: NONE_OF_THESE_UNSUPPORTED: nothing can be held out.
    """
    _check(samples)
    if samples.outside.size:
        origin, rounds = OUTSIDE, _leaving_outside_classes_out(samples, seed)
    else:
        origin, rounds = OWN, _leaving_own_classes_out(samples, seed)
    inside, outside = [], []
    for one in rounds:
        features = _kept(samples, one)
        standardisation, layer = _fit(features, samples, one.trained, inputs)
        columns = standardisation.apply(np.concatenate(blocks(features, inputs), axis=1))
        score = -(columns @ layer.weight + layer.bias).max(axis=1)
        inside.append(score[one.inside])
        outside.append(score[one.outside])
    within, beyond = np.concatenate(inside), np.concatenate(outside)
    platt = fit_platt(within, beyond)
    everything = np.ones(len(samples.labels), dtype=np.bool_)
    fitted = NoneOfThese(inputs, *_fit(samples.features, samples, everything, inputs), platt)
    found = NoneReport(roc(platt(within), platt(beyond)), len(within), len(beyond), origin)
    return fitted, found


def _fit(
    features: Sequence[FragmentFeatures], samples: NoneSamples, trained: Mask, inputs: HeadInputs
) -> tuple[Standardisation, Linear]:
    """Ridge regression of the indicators of the pack's classes on the columns of some samples."""
    chosen = np.flatnonzero(trained)
    parts = blocks([part.rows(chosen) for part in features], inputs)
    standardisation = standardise_columns(parts)
    columns = standardisation.apply(np.concatenate(parts, axis=1))
    targets = (samples.labels[chosen, None] == np.arange(samples.classes)).astype(np.float64)
    # Left out: it would only ever claim nothing, and be the best claim wherever others are below.
    targets = targets[:, targets.any(axis=0)]
    means = targets.mean(axis=0)
    rows, width = columns.shape
    if width <= rows:
        gram = columns.T @ columns + RIDGE * rows * np.eye(width)
        weight = np.linalg.solve(gram, columns.T @ (targets - means))
    else:
        gram = columns @ columns.T + RIDGE * rows * np.eye(rows)
        weight = columns.T @ np.linalg.solve(gram, targets - means)
    return standardisation, Linear(weight, means)


def _leaving_outside_classes_out(samples: NoneSamples, seed: int) -> Iterator[_Round]:
    """Folds of the pack's samples; each outside class is left out, whole, in one of them."""
    inside = samples.labels < samples.classes
    rounds = max(MAX_FOLDS, min(MOST_ROUNDS, len(samples.outside)))
    held_in = np.full(len(samples.labels), -1)
    held_in[inside] = stratified_folds(samples.labels[inside], rounds, seed)
    for place, label in enumerate(samples.outside):
        held_in[samples.labels == label] = place % rounds
    for number in range(rounds):
        held = held_in == number
        yield _Round(~held, held & inside, held & ~inside)


def _leaving_own_classes_out(samples: NoneSamples, seed: int) -> Iterator[_Round]:
    """Each class in turn is outside: its samples are not seen, its fragments are not there."""
    rounds = min(MOST_ROUNDS, samples.classes)
    held_in = stratified_folds(samples.labels, rounds, seed)
    for number in range(rounds):
        left, held = samples.labels % rounds == number, held_in == number
        classes = frozenset(range(number, samples.classes, rounds))
        yield _Round(~left & ~held, ~left & held, left, classes)


def _kept(samples: NoneSamples, one: _Round) -> Sequence[FragmentFeatures]:
    """The features of all fragments but those of classes that are left out."""
    served = zip(samples.features, samples.serves, strict=True)
    return [part for part, serves in served if not one.without.issuperset(serves)]


def _check(samples: NoneSamples) -> None:
    """Refuses samples of which nothing can be held out."""
    counts = np.bincount(samples.labels, minlength=samples.classes)[: samples.classes]
    if counts.min() < 2:
        raise _unsupported(
            "a class has one sample only, which cannot be held out",
            "Submit the models with at least two samples of every class.",
        )
    if samples.classes < 3 and not samples.outside.size:
        raise _unsupported(
            "its models know no class outside of it, and of two classes none can be left out",
            "Add a class, or a fragment of a model that knows other classes as well.",
        )


def _unsupported(why: str, advice: str) -> FusionError:
    return FusionError(
        FusionReason.NONE_OF_THESE_UNSUPPORTED,
        f'"None of these" cannot be told for this pack: {why}.',
        advice=advice,
    )
