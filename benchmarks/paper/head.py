"""The heads of packs and of the ensemble: the packer's own, and logistic regression beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.closed_form import fit_closed_form
from packer_svc.fusion.heads.columns import blocks, standardise_columns
from packer_svc.fusion.heads.folds import MAX_FOLDS, log_losses, stratified_folds
from packer_svc.fusion.heads.spec import HeadInputs, HeadSpec

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Outputs = Sequence[FragmentFeatures]

PENALTIES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Inverse strengths of the ridge that logistic regression chooses from."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A head by whatever way it was fitted.

    Attributes:
        name: `lda` or `logistic`, and what it reads: `lda:both`.
        logits: Class scores `(n, C)` of the outputs of all originals on some examples.
    """

    name: str
    logits: Callable[[Outputs], Array]


def fit_ensemble(outputs: Outputs, labels: Labels, classes: int, seed: int) -> Fitted:
    """Fits the packer's head on the full originals, or logistic regression where it is better.

    The packer's head chooses between features, class scores and both. Logistic regression takes
    its place where its cross-validated log loss is less by more than one standard error of the
    paired difference, the rule by which the packer's head makes its own choices.

    Args:
        outputs: Of each original on all samples.
        labels: Places in the pack's classes `(n,)`.
        classes: C.
        seed: Of the folds.
    """
    lda = fit_lda(outputs, labels, classes, seed)
    smallest = int(np.bincount(labels, minlength=classes).min())
    if smallest < 2:
        return lda
    folds = stratified_folds(labels, min(MAX_FOLDS, smallest), seed)
    before = _held_out(outputs, labels, folds, partial(fit_lda, classes=classes, seed=seed))
    best = lda
    losses = before
    for inputs in HeadInputs:
        found, after = _logistic(outputs, labels, folds, inputs)
        gain = losses - after
        if gain.mean() > gain.std() / np.sqrt(len(gain)):
            best, losses = found, after
    return best


def fit_lda(outputs: Outputs, labels: Labels, classes: int, seed: int) -> Fitted:
    """Fits the packer's head; arguments as for `fit_ensemble`."""
    head = fit_closed_form(outputs, labels, classes, HeadSpec(seed=seed)).head
    layer = head.folded()

    def logits(seen: Outputs) -> Array:
        scores: Array = np.concatenate(blocks(seen, head.inputs), axis=1) @ layer.weight
        return scores + layer.bias

    return Fitted(f"lda:{head.inputs.value}", logits)


def _logistic(
    outputs: Outputs, labels: Labels, folds: Labels, inputs: HeadInputs
) -> tuple[Fitted, Array]:
    """Logistic regression with the penalty of the least held-out log loss, and those losses."""
    tried = [
        _held_out(outputs, labels, folds, partial(_regressed, inputs=inputs, penalty=penalty))
        for penalty in PENALTIES
    ]
    best = int(np.argmin([losses.mean() for losses in tried]))
    return _regressed(outputs, labels, inputs, PENALTIES[best]), tried[best]


def _regressed(outputs: Outputs, labels: Labels, inputs: HeadInputs, penalty: float) -> Fitted:
    parts = blocks(outputs, inputs)
    standardisation = standardise_columns(parts)
    columns = standardisation.apply(np.concatenate(parts, axis=1))
    # A ridge solution lies in the row space of the samples, which is far narrower.
    values, vectors = np.linalg.eigh(columns @ columns.T)
    kept = values > values[-1] * len(values) * np.finfo(np.float64).eps
    directions = columns.T @ (vectors[:, kept] / np.sqrt(values[kept]))
    # Columns have a variance of one a block; the usual penalties mean one a column.
    scale = np.sqrt(columns.shape[1] / len(parts))
    model = LogisticRegression(C=penalty, max_iter=1000).fit(columns @ directions * scale, labels)

    def logits(seen: Outputs) -> Array:
        raw = np.concatenate(blocks(seen, inputs), axis=1)
        scores: Array = model.decision_function(standardisation.apply(raw) @ directions * scale)
        return np.stack([-scores, scores], axis=1) / 2 if scores.ndim == 1 else scores

    return Fitted(f"logistic:{inputs.value}", logits)


def _held_out(
    outputs: Outputs, labels: Labels, folds: Labels, fit: Callable[[Outputs, Labels], Fitted]
) -> Array:
    """The log loss `(n,)` of every sample by a head fitted without its fold."""
    losses = np.empty(len(labels))
    for fold in np.unique(folds):
        kept, held = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        head = fit([part.rows(kept) for part in outputs], labels[kept])
        losses[held] = log_losses(head.logits([part.rows(held) for part in outputs]), labels[held])
    return losses
