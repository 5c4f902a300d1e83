"""The best origin, finetuned on the k samples: a new classifier, the whole network trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.paper.baselines.training import (
    Rows,
    Views,
    accelerator,
    batches,
    best_stop,
    guessed,
)
from benchmarks.paper.originals import Original
from benchmarks.paper.trial import Answers, Trial
from onnxgraph.classifier import find_classifier
from onnxgraph.view import TorchView
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.folds import stratified_folds
from packer_svc.fusion.heads.spec import HeadSpec

RATES = (1e-4, 1e-3)
STOPS = (10, 30, 60)
FOLDS = 3


class Finetuned(nn.Module):
    """An origin with a new classifier, every weight trainable.

    Its BatchNormalization is folded into its kernels: so few samples give no better statistics.

    Args:
        original: The origin; it is not changed.
        classes: Class scores.
        seed: Of the new classifier.
    """

    def __init__(self, original: Original, classes: int, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self._feature = find_classifier(original.model).feature
        self._origin = TorchView(original.model)
        self._classifier = nn.Linear(original.feature_width, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Class scores `(n, classes)`."""
        (name,) = self._origin.input_names
        features = self._origin.run({name: inputs}, fetch=[self._feature])[self._feature]
        scores: Tensor = self._classifier(features.flatten(1))
        return scores


def finetune(trial: Trial) -> Answers:
    """Origin, rate and steps are chosen by cross-validation on the samples.

    The origin by the packer's head on its outputs as they are; rate and steps of its training in
    stratified folds.
    """
    original = _best_origin(trial)
    views = Views.of(trial.samples, trial.augmentation, trial.views, trial.seed)
    rate, steps = _tuned(trial, original, views)
    everything = np.arange(len(views.labels))
    *_, network = _trained(trial, original, views, everything, rate, (steps,))
    (inputs,) = trial.test.values()
    classes = ",".join(str(label) for label in original.recipe.classes)
    chosen = f"origin of {classes}, rate {rate:g}, {steps} steps"
    return Answers(guessed(network, inputs, accelerator()), chosen)


def _best_origin(trial: Trial) -> Original:
    outputs = trial.store.outputs(
        [original.whole for original in trial.different], trial.samples.inputs
    )
    spec = HeadSpec(seed=trial.seed)
    found = []
    for part in outputs:
        checked = fit_head([part], trial.samples.labels, trial.classes, spec)[1].cross_validation
        found.append((0.0, 0.0) if checked is None else (checked.accuracy, -checked.log_loss))
    return trial.different[found.index(max(found))]


def _tuned(trial: Trial, original: Original, views: Views) -> tuple[float, int]:
    """The rate and the steps with most right answers on held-out samples."""
    folds = min(FOLDS, int(np.bincount(trial.samples.labels).min()))
    if folds < 2:
        return RATES[0], STOPS[0]
    assigned = stratified_folds(trial.samples.labels, folds, trial.seed)
    (inputs,) = trial.samples.inputs.values()
    right = {rate: np.zeros(len(STOPS)) for rate in RATES}
    for fold in range(folds):
        held = np.flatnonzero(assigned == fold)
        kept = views.rows_of(np.flatnonzero(assigned != fold))
        for rate in RATES:
            networks = _trained(trial, original, views, kept, rate, STOPS)
            for stop, network in enumerate(networks):
                answers = guessed(network, inputs[held], accelerator())
                right[rate][stop] += (answers == trial.samples.labels[held]).sum()
    rate = max(RATES, key=lambda rate: float(right[rate].max()))
    return rate, best_stop(right[rate].tolist(), STOPS)


def _trained(
    trial: Trial,
    original: Original,
    views: Views,
    rows: Rows,
    rate: float,
    stops: Sequence[int],
) -> Iterator[Finetuned]:
    """Trains by Adam and yields the network, which goes on changing, at every stop."""
    device = accelerator()
    network = Finetuned(original, trial.classes, trial.seed).to(device)
    optimiser = torch.optim.Adam(network.parameters(), rate)
    for step, drawn in enumerate(batches(rows, stops[-1], trial.seed), start=1):
        scores = network(torch.from_numpy(views.inputs[drawn]).to(device))
        labels = torch.from_numpy(views.labels[drawn]).to(device)
        loss = nn.functional.cross_entropy(scores, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in stops:
            yield network
