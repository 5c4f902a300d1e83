"""The full originals with one head over all of their features and class scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.paper.head import Fitted, Labels, Outputs, fit_ensemble, fit_lda
from benchmarks.paper.trial import Answers, Trial


def ensemble(trial: Trial) -> Answers:
    """Fits the pack's own head family, or logistic regression, on the originals' outputs."""
    return _answers(trial, fit_ensemble)


def ensemble_lda(trial: Trial) -> Answers:
    """Fits the pack's own head alone: on few samples cross-validation may choose the worse one."""
    return _answers(trial, fit_lda)


def _answers(trial: Trial, fit: Callable[[Outputs, Labels, int, int], Fitted]) -> Answers:
    graphs = [original.whole for original in trial.different]
    seen = trial.store.outputs(graphs, trial.samples.inputs)
    head = fit(seen, trial.samples.labels, trial.classes, trial.seed)
    tested = trial.store.kept_outputs(graphs, trial.test)
    return Answers(head.logits(tested).argmax(axis=1).astype(np.int64), head.name)
