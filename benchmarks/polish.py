"""``python -m benchmarks.polish``: is the closed form's head better after some steps of training?

Every target's head is trained on from the closed form, on the cached outputs of the fragments:
whole batches, plain gradient steps on the log loss against smoothed targets, as long as they may be
without rising. Test accuracy is told after each number of steps, and at the number that
cross-validation on the samples would choose: the one of the least loss, where it is better than no
step by more than one standard error of the paired difference.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import experiment_parser, run_once, setting_of
from benchmarks.paper.experiment import slice_origin, trial_of
from benchmarks.paper.result import device
from benchmarks.paper.samples import Draw
from benchmarks.paper.setting import Setting
from benchmarks.paper.tasks import TASKS, Classes
from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.closed_form import fit_closed_form, smoothed_losses
from packer_svc.fusion.heads.columns import blocks
from packer_svc.fusion.heads.folds import MAX_FOLDS, stratified_folds
from packer_svc.fusion.heads.spec import HeadSpec

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

PROGRAM = "python -m benchmarks.polish"
STEPS = (0, 3, 10, 30, 100, 300)


@dataclass(frozen=True, eq=False)
class Outcome:
    """One target of one draw.

    Attributes:
        accuracies: On its test examples, after each of `STEPS`.
        losses: By cross-validation on its samples, likewise.
        chosen: The place of what cross-validation would choose.
    """

    accuracies: Array
    losses: Array
    chosen: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains on from all heads and writes the document.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code of `run_once`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = experiment_parser(PROGRAM, str(__doc__))
    parser.set_defaults(baselines="none")
    parsed = parser.parse_args(given)

    def run(setting: Setting) -> dict[str, object]:
        found = outcomes(Bench.of(setting, TASKS[setting.task]))
        mean = np.mean([one.accuracies for one in found], axis=0)
        return {
            "command": f"{PROGRAM} {shlex.join(given)}",
            "steps": STEPS,
            "accuracy": mean.tolist(),
            "loss": np.mean([one.losses for one in found], axis=0).tolist(),
            "chosen_accuracy": float(np.mean([one.accuracies[one.chosen] for one in found])),
            "chosen_steps": [STEPS[one.chosen] for one in found],
            "device": device(setting.threads),
        }

    return run_once(lambda: replace(setting_of(parsed), prefix="polish-"), run, force=parsed.force)


def outcomes(bench: Bench) -> list[Outcome]:
    """Every target of every draw."""
    found = []
    for number in range(bench.setting.draws):
        draw = Draw(bench.corpus, bench.setting.k, bench.setting.seed, number)
        pieces = {place: slice_origin(bench, draw, place).pieces for place in bench.task.wanted}
        for target in bench.task.targets:
            graphs = [pieces[one.origin][one.place].graph for one in bench.task.sources(target)]
            found.append(_outcome(bench, draw, target, graphs))
            bench.progress.finish(f"draw {number}, {target}")
    return found


def _outcome(bench: Bench, draw: Draw, target: Classes, graphs: Sequence[bytes]) -> Outcome:
    trial, truth = trial_of(bench, draw, target)
    labels = trial.samples.labels
    seen = trial.store.outputs(graphs, trial.samples.inputs)
    unseen = trial.store.outputs(graphs, trial.test)
    folds = stratified_folds(labels, min(MAX_FOLDS, bench.setting.k), trial.seed)
    logits = np.empty((len(STEPS), len(labels), len(graphs)))
    for fold in np.unique(folds):
        held, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        parts = [one.rows(rest) for one in seen]
        logits[:, held] = polished(parts, labels[rest], [one.rows(held) for one in seen])
    losses = smoothed_losses(logits, labels)
    accuracies = (polished(seen, labels, unseen).argmax(axis=-1) == truth).mean(axis=-1)
    return Outcome(accuracies, losses.mean(axis=-1), chosen(losses))


def chosen(losses: Array) -> int:
    """The place of the steps that cross-validation would choose.

    Args:
        losses: Of every sample after each of `STEPS`, `(s, n)`.
    """
    best = int(losses.mean(axis=-1).argmin())
    gain = losses[0] - losses[best]
    return best if gain.mean() > gain.std() / np.sqrt(len(gain)) else 0


def polished(
    features: Sequence[FragmentFeatures], labels: Labels, others: Sequence[FragmentFeatures]
) -> Array:
    """Class scores of other samples after each of `STEPS`, `(s, m, C)`.

    Args:
        features: What the fragments say about the samples, `(n, …)` each.
        labels: Their classes `(n,)`.
        others: What they say about the others, `(m, …)` each.
    """
    classes = int(labels.max()) + 1
    head = fit_closed_form(features, labels, classes, HeadSpec()).head
    own, theirs = (
        head.standardisation.apply(np.concatenate(blocks(one, head.inputs), axis=1))
        for one in (features, others)
    )
    start = [rows @ head.classifier.weight + head.classifier.bias for rows in (own, theirs)]
    # A constant column, as large as the others, moves the biases.
    own, theirs = (np.column_stack([rows, np.full(len(rows), own.std())]) for rows in (own, theirs))
    # Weights only ever move within the samples' span: steps are taken on n coefficients a class.
    kernel, across = own @ own.T, theirs @ own.T
    rate = 2.0 / np.linalg.eigvalsh(kernel)[-1]
    smoothing = 1.0 / (len(labels) + 2.0)
    targets = np.full((len(labels), classes), smoothing / (classes - 1))
    targets[np.arange(len(labels)), labels] = 1.0 - smoothing
    moves = np.zeros_like(start[0])
    found = []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            found.append(start[1] + across @ moves)
        logits = start[0] + kernel @ moves
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        moves -= rate * (shares / shares.sum(axis=1, keepdims=True) - targets)
    return np.array(found)


if __name__ == "__main__":
    sys.exit(main())
