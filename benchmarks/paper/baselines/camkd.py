"""Confidence-aware multi-teacher distillation (CA-MKD; Zhang, Chen and Wang, ICASSP 2022).

A student of the origins' architecture learns from scratch: cross-entropy on the labels, the
teachers' probabilities and the teachers' features, each teacher weighed sample by sample by how
well it does on the label (the paper's Eq. 2 to 9).

Teachers here know other classes than the student: of a pack's classes each knows one. Its
probability of that class stands at its place, the rest is spread evenly over the other classes, so
that every teacher speaks of the student's classes and the published formulas hold as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
    last_dense,
)
from benchmarks.paper.originals import Original
from benchmarks.paper.origins import OriginRecipe, untrained
from benchmarks.paper.trial import Answers, Trial
from onnxgraph.classifier import find_classifier
from onnxgraph.linear import weight_matrix
from packer_svc.fusion.heads.folds import stratified_folds

TEMPERATURE = 4.0
FEATURE_WEIGHT = 50.0
RATE = 1e-3
STOPS = (50, 100, 200)
FOLDS = 5
LEAST = 1e-6
"""The least probability that a logarithm is taken of."""


@dataclass(frozen=True, eq=False)
class Judge:
    """A teacher's classifier, read as one of the pack's classes.

    Attributes:
        weight: Its matrix `(f, own classes)`.
        bias: Its bias `(own classes,)`.
        known: Which of its own classes stands where: `(place in the pack, own place)`.
        classes: Classes of the pack.
    """

    weight: Tensor
    bias: Tensor
    known: tuple[tuple[int, int], ...]
    classes: int

    def of_features(self, features: Tensor) -> Tensor:
        """Probabilities of the pack's classes `(n, C)` from features `(n, f)`."""
        return self.of_scores(features @ self.weight + self.bias, 1.0)

    def of_scores(self, scores: Tensor, temperature: float) -> Tensor:
        """Probabilities of the pack's classes `(n, C)` from its own scores."""
        own = torch.softmax(scores / temperature, dim=1)
        places = [place for place, _ in self.known]
        told = own[:, [place for _, place in self.known]]
        left = (1.0 - told.sum(dim=1, keepdim=True)) / max(self.classes - len(places), 1)
        return (
            left.expand(-1, self.classes)
            .clone()
            .index_copy(1, torch.tensor(places, device=own.device), told)
        )


@dataclass(frozen=True, eq=False)
class Teacher:
    """What an original says of every view of the samples.

    Attributes:
        judge: Its classifier.
        features: `(rows, f)`.
        soft: Probabilities of the pack's classes at the temperature, `(rows, C)`.
        surprise: −ln of the probability of the label, `(rows,)`.
    """

    judge: Judge
    features: Tensor
    soft: Tensor
    surprise: Tensor


class Student(nn.Module):
    """A network of the origins' architecture, and the maps of its features to each teacher's.

    Args:
        recipe: Of one of the origins: architecture and width.
        classes: Class scores.
        widths: Feature width of each teacher.
    """

    def __init__(self, recipe: OriginRecipe, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.network = untrained(replace(recipe, classes=tuple(range(classes))))
        classifier = last_dense(self.network)
        self.adapters = nn.ModuleList(nn.Linear(classifier.in_features, wide) for wide in widths)
        self._features: list[Tensor] = []
        classifier.register_forward_pre_hook(lambda _, inputs: self._features.append(inputs[0]))

    def forward(self, inputs: Tensor) -> Tensor:
        """Class scores `(n, C)`."""
        return self.both(inputs)[0]

    def both(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Class scores `(n, C)` and features `(n, f)`."""
        scores: Tensor = self.network(inputs)
        return scores, self._features.pop()


def camkd(trial: Trial) -> Answers:
    """Trains a student on views of the samples; how long, a held-out fifth of them decides."""
    views = Views.of(trial.samples, trial.augmentation, trial.views, trial.seed)
    teachers = _teachers(trial, views)
    steps = _tuned(trial, views, teachers)
    everything = np.arange(len(views.labels))
    *_, student = _trained(trial, views, teachers, everything, (steps,))
    (inputs,) = trial.test.values()
    return Answers(guessed(student.eval(), inputs, accelerator()), f"{steps} steps")


def loss_of(
    student: Student, inputs: Tensor, labels: Tensor, teachers: Sequence[Teacher], rows: Tensor
) -> Tensor:
    """Eq. 9: labels, probabilities and features.

    Args:
        student: In training.
        inputs: A minibatch.
        labels: Its labels `(n,)`.
        teachers: All of them.
        rows: The minibatch's rows of the teachers' tensors `(n,)`.
    """
    scores, features = student.both(inputs)
    loss = nn.functional.cross_entropy(scores, labels)
    sure = weights(torch.stack([teacher.surprise[rows] for teacher in teachers]))
    learned = torch.log_softmax(scores / TEMPERATURE, dim=1)
    mapped = [adapter(features) for adapter in student.adapters]
    fits = torch.stack(
        [
            surprise(teacher.judge.of_features(own), labels)
            for own, teacher in zip(mapped, teachers, strict=True)
        ]
    )
    matched = weights(fits.detach())
    for place, teacher in enumerate(teachers):
        soft = -(teacher.soft[rows] * learned).sum(dim=1)
        gap = (mapped[place] - teacher.features[rows]).square().mean(dim=1)
        loss = loss + TEMPERATURE**2 * (sure[place] * soft).mean()
        loss = loss + FEATURE_WEIGHT * (matched[place] * gap).mean()
    return loss


def weights(surprises: Tensor) -> Tensor:
    """Eq. 3: (1 − softmax over teachers of −ln p(label)) / (K − 1), `(K, n)`; 1 for one teacher."""
    count = len(surprises)
    if count == 1:
        return torch.ones_like(surprises)
    return (1.0 - torch.softmax(surprises, dim=0)) / (count - 1)


def surprise(probabilities: Tensor, labels: Tensor) -> Tensor:
    """−ln of the probability of each label, `(n,)`."""
    told = probabilities.gather(1, labels[:, None])[:, 0]
    return -told.clamp(min=LEAST).log()


def _teachers(trial: Trial, views: Views) -> list[Teacher]:
    (name,) = trial.samples.inputs
    device = accelerator()
    labels = torch.from_numpy(views.labels).to(device)
    graphs = [original.whole for original in trial.different]
    outputs = trial.store.outputs(graphs, {name: views.inputs})
    found = []
    for original, said in zip(trial.different, outputs, strict=True):
        judge = _judge(trial, original, device)
        scores = torch.from_numpy(said.scores).to(device)
        found.append(
            Teacher(
                judge,
                torch.from_numpy(said.features).to(device),
                judge.of_scores(scores, TEMPERATURE),
                surprise(judge.of_scores(scores, 1.0), labels),
            )
        )
    return found


def _judge(trial: Trial, original: Original, device: torch.device) -> Judge:
    matrix, bias = weight_matrix(original.model, find_classifier(original.model).node)
    offset = np.zeros(matrix.shape[1]) if bias is None else bias
    known = tuple(
        (number, trial.places[number])
        for number, other in enumerate(trial.originals)
        if other is original
    )
    return Judge(
        torch.from_numpy(matrix).float().to(device),
        torch.from_numpy(offset).float().to(device),
        known,
        trial.classes,
    )


def _tuned(trial: Trial, views: Views, teachers: Sequence[Teacher]) -> int:
    """The stop with most right answers on a held-out part of the samples."""
    labels = trial.samples.labels
    folds = min(FOLDS, int(np.bincount(labels).min()))
    if folds < 2:
        return STOPS[0]
    held = stratified_folds(labels, folds, trial.seed) == 0
    kept = views.rows_of(np.flatnonzero(~held))
    (inputs,) = trial.samples.inputs.values()
    right = []
    for student in _trained(trial, views, teachers, kept, STOPS):
        answers = guessed(student.eval(), inputs[held], accelerator())
        right.append(float((answers == labels[held]).mean()))
        student.train()
    return best_stop(right, STOPS)


def _trained(
    trial: Trial, views: Views, teachers: Sequence[Teacher], rows: Rows, stops: Sequence[int]
) -> Iterator[Student]:
    """Trains by Adam and yields the student, which goes on changing, at every stop."""
    device = accelerator()
    torch.manual_seed(trial.seed)
    recipe = trial.originals[0].recipe
    widths = [teacher.features.shape[1] for teacher in teachers]
    student = Student(recipe, trial.classes, widths).to(device).train()
    optimiser = torch.optim.Adam(student.parameters(), RATE)
    for step, drawn in enumerate(batches(rows, stops[-1], trial.seed), start=1):
        places = torch.from_numpy(drawn).to(device)
        inputs = torch.from_numpy(views.inputs[drawn]).to(device)
        labels = torch.from_numpy(views.labels[drawn]).to(device)
        loss = loss_of(student, inputs, labels, teachers, places)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in stops:
            yield student
