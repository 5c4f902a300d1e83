"""The full originals with one head over all of their features and class scores."""

from __future__ import annotations

import numpy as np

from benchmarks.paper.head import fit_ensemble
from benchmarks.paper.trial import Answers, Trial


def ensemble(trial: Trial) -> Answers:
    """Fits the pack's own head family, or logistic regression, on the originals' outputs."""
    graphs = [original.whole for original in trial.different]
    seen = trial.store.outputs(graphs, trial.samples.inputs)
    head = fit_ensemble(seen, trial.samples.labels, trial.classes, trial.seed)
    tested = trial.store.kept_outputs(graphs, trial.test)
    return Answers(head.logits(tested).argmax(axis=1).astype(np.int64), head.name)
