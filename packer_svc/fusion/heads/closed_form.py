"""The default head: shrinkage LDA on standardised columns, without any gradient.

All choices are made by exact leave-one-out on the k samples of each class:

- The *temperature* of each strength, by log loss against smoothed targets.
- The *strength*: not the best one, which at k = 5 is mostly luck, but the mean of all strengths'
  class scores, weighed by exp(−√n·(log loss − least log loss)). A mean of linear maps is one linear
  map, so the head stays one Gemm. (On digits, packs of 3 classes of 3 small networks, k = 5: 0.961
  against 0.947 for the single best strength; k = 20: 0.986 against 0.983.)
- The *inputs*: features and class scores, unless one of them alone is better by more than one
  standard error of the paired difference (Breiman's rule).

With one sample of some class nothing can be left out. Then, by default: features and class scores,
`DEFAULT_STRENGTH`, and the temperature at which a class mean has its class with a probability of
about 0.9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads import lda
from packer_svc.fusion.heads.columns import blocks, standardise_columns
from packer_svc.fusion.heads.folds import accuracy, log_losses
from packer_svc.fusion.heads.model import Candidate, Head, Linear
from packer_svc.fusion.heads.spec import HeadInputs, HeadKind, HeadSpec

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

_ODDS = 10.0 ** np.arange(-1.5, 2.01, 0.5)
STRENGTHS: tuple[float, ...] = (*(_ODDS / (1.0 + _ODDS)).tolist(), 1.0)
"""Shrinkage strengths α, evenly spaced in ln(α/(1 − α)), and 1: nearest class mean."""

DEFAULT_STRENGTH = 0.9
_LOG_SHARPNESS = (-8.0, 4.0)
_LOG_TOLERANCE = 1e-3
_GOLDEN = (5.0**0.5 - 1.0) / 2.0


@dataclass(frozen=True)
class Fitted:
    """A head and what its fit found out.

    Attributes:
        head: The head.
        strength: Mean shrinkage α; None for a head without.
        candidates: Leave-one-out figures of each choice of inputs; empty with a class of one
            sample.
    """

    head: Head
    strength: float | None
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class _Choice:
    """One choice of inputs.

    Attributes:
        start: What its strengths share.
        weight: Of the classifier `(r, C)`, on the coordinates of `start.space`.
        bias: Likewise `(C,)`.
        strength: Mean shrinkage α.
        candidate: What it is told by.
        losses: Of each sample, left out `(n,)`.
    """

    start: _Start
    weight: Array
    bias: Array
    strength: float
    candidate: Candidate
    losses: Array

    def head(self) -> Head:
        """On columns: as costly as many strengths, so only of the choice that is taken."""
        return self.start.head(Linear(*lda.on_columns(self.start.space, self.weight, self.bias)))


def fit_closed_form(
    features: Sequence[FragmentFeatures], labels: Labels, classes: int, spec: HeadSpec
) -> Fitted:
    """Fits the head on the outputs of all fragments on all samples.

    Args:
        features: One entry per fragment, `n` rows each.
        labels: Class indices `(n,)` in [0, classes); every class occurs.
        classes: C ≥ 2.
        spec: `encoder_width` is read.
    """
    if np.bincount(labels, minlength=classes).min() < 2:
        return _by_default(features, labels, classes, spec)
    tried = [
        _by_leave_one_out(features, labels, classes, spec, inputs)
        for inputs in (HeadInputs.BOTH, HeadInputs.FEATURES, HeadInputs.SCORES)
    ]
    best = tried[0]
    for other in tried[1:]:
        gain = best.losses - other.losses
        if gain.mean() > gain.std() / np.sqrt(len(gain)):
            best = other
    return Fitted(best.head(), best.strength, tuple(choice.candidate for choice in tried))


def _by_leave_one_out(
    features: Sequence[FragmentFeatures],
    labels: Labels,
    classes: int,
    spec: HeadSpec,
    inputs: HeadInputs,
) -> _Choice:
    start = _Start.of(features, labels, classes, spec, inputs)
    left_out = np.array([lda.left_out_scores(start.space, strength) for strength in STRENGTHS])
    layers = [lda.discriminants(start.space, strength) for strength in STRENGTHS]
    sharpness, losses = calibrate(left_out, labels)
    rises = np.sqrt(len(labels)) * (losses - losses.min())
    shares = sharpness * np.exp(-rises) / np.exp(-rises).sum()
    logits = np.tensordot(shares, left_out, axes=1)
    weight = np.tensordot(shares, np.array([weight for weight, _ in layers]), axes=1)
    bias = np.tensordot(shares, np.array([bias for _, bias in layers]), axes=1)
    candidate = Candidate(
        inputs, accuracy(logits, labels), float(log_losses(logits, labels).mean())
    )
    mean = float(np.exp(-rises) @ np.array(STRENGTHS) / np.exp(-rises).sum())
    return _Choice(start, weight, bias, mean, candidate, smoothed_losses(logits, labels))


def _by_default(
    features: Sequence[FragmentFeatures], labels: Labels, classes: int, spec: HeadSpec
) -> Fitted:
    start = _Start.of(features, labels, classes, spec, HeadInputs.BOTH)
    weight, bias = lda.discriminants(start.space, DEFAULT_STRENGTH)
    at_means = start.space.means @ weight + bias
    gaps = np.diag(at_means)[:, None] - at_means
    gap = float(gaps.sum()) / (classes * (classes - 1))
    sharpness = np.log(9.0 * (classes - 1)) / gap if gap > 0 else 1.0
    classifier = Linear(*lda.on_columns(start.space, sharpness * weight, sharpness * bias))
    return Fitted(start.head(classifier), DEFAULT_STRENGTH, ())


@dataclass(frozen=True)
class _Start:
    """What all strengths share: a head without its classifier, and the scatter of its columns."""

    space: lda.Scatter
    unfinished: Head

    @classmethod
    def of(
        cls,
        features: Sequence[FragmentFeatures],
        labels: Labels,
        classes: int,
        spec: HeadSpec,
        inputs: HeadInputs,
    ) -> _Start:
        parts = blocks(features, inputs)
        standardisation = standardise_columns(parts)
        columns = standardisation.apply(np.concatenate(parts, axis=1))
        encoder = None
        if spec.encoder_width is not None and spec.encoder_width < columns.shape[1]:
            encoder = principal_encoder(columns, spec.encoder_width)
            columns = columns @ encoder.weight
        widths = tuple((part.features.shape[1], part.scores.shape[1]) for part in features)
        blank = Linear(np.zeros((columns.shape[1], classes)), np.zeros(classes))
        head = Head(HeadKind.CLOSED_FORM, inputs, widths, standardisation, encoder, blank)
        return cls(lda.scatter(columns, labels, classes), head)

    def head(self, classifier: Linear) -> Head:
        start = self.unfinished
        return Head(
            start.kind, start.inputs, start.widths, start.standardisation, start.encoder, classifier
        )


def principal_encoder(columns: Array, width: int) -> Linear:
    """The `width` leading principal directions of centred `columns` `(n, p)`.

    The best linear autoencoder in squared error. Fewer than `width` where the samples span less.
    """
    _, values, directions = np.linalg.svd(columns, full_matrices=False)
    span = max(int((values > values[0] * np.finfo(np.float64).eps * len(columns)).sum()), 1)
    weight = directions[: min(width, span)].T
    return Linear(weight, np.zeros(weight.shape[1]))


def calibrate(logits: Array, labels: Labels) -> tuple[Array, Array]:
    """The factors on `logits` `(s, n, C)` with the least smoothed log loss each, and these losses.

    By golden section (Kiefer 1953), all at once: the loss falls, then rises with the factor.

    Args:
        logits: Class scores, s times, of samples that their fit has not seen.
        labels: Class indices `(n,)`.

    Returns:
        Factors and losses, `(s,)` each.
    """

    def loss(log_sharpness: Array) -> Array:
        scaled = np.exp(log_sharpness)[:, None, None] * logits
        mean: Array = smoothed_losses(scaled, labels).mean(axis=-1)
        return mean

    low, high = (np.full(len(logits), end) for end in _LOG_SHARPNESS)
    inner, outer = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_inner, at_outer = loss(inner), loss(outer)
    while (high - low).max() > _LOG_TOLERANCE:
        left = at_inner <= at_outer
        low, high = np.where(left, low, inner), np.where(left, outer, high)
        probe = np.where(left, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        at_probe = loss(probe)
        inner, outer = np.where(left, probe, outer), np.where(left, inner, probe)
        at_inner, at_outer = (
            np.where(left, at_probe, at_outer),
            np.where(left, at_inner, at_probe),
        )
    middle = (low + high) / 2
    return np.exp(middle), loss(middle)


def smoothed_losses(logits: Array, labels: Labels) -> Array:
    """Log losses `(…, n)` of class scores `(…, n, C)` against smoothed targets (Platt 1999).

    They leave 1/(n + 2) to the other classes: without it the best sharpness is infinite as soon as
    no sample is wrong.
    """
    smoothing = 1.0 / (len(labels) + 2.0)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_shares = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    own = log_shares[..., np.arange(len(labels)), labels]
    others = (log_shares.sum(axis=-1) - own) / (logits.shape[-1] - 1)
    losses: Array = -(1.0 - smoothing) * own - smoothing * others
    return losses
