"""The search and what it is compared with, and the truth about a market's models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from benchmarks.market.search.ranking import Table
from benchmarks.market.search.stall import Stall, held_out
from benchmarks.market.search.tasks import (
    Task,
    accuracy_by_assignment,
    accuracy_by_name,
    best_assignment,
    confusion,
)
from specification import scoring
from specification.embedding import Embedding, Units, embed, inner_products
from specification.index import Index
from specification.model import Specification
from specification.results import ModelsFound


def accuracies(stall: Stall, tasks: Sequence[Task]) -> dict[str, Table]:
    """What models really do on the held-out pictures, by both truths, `(tasks, models)` each."""
    by_name, by_assignment = [], []
    for task in tasks:
        shares = [
            confusion(*held_out(stall, task, model), len(task.classes))
            for model in range(len(stall.models))
        ]
        by_name.append(
            [
                accuracy_by_name(one, task, model.entry)
                for one, model in zip(shares, stall.models, strict=True)
            ]
        )
        by_assignment.append([accuracy_by_assignment(one) for one in shares])
    return {"name": np.array(by_name), "assignment": np.array(by_assignment)}


def rankings(
    stall: Stall, tasks: Sequence[Task], queries: Sequence[Specification]
) -> dict[str, Table]:
    """Scores of every model for every task, by what made them, `(tasks, models)` each."""
    index = Index(zip(stall.names(), stall.specifications, strict=True))
    random = np.random.default_rng(0)
    shape = (len(tasks), len(stall.models))
    units = Units(queries[0].offset, queries[0].scale)
    models = [embed(one, units, np.float32) for one in stall.specifications]
    answers = [index.models(query, len(stall.models)) for query in queries]
    return {
        "search": np.stack([_scores(stall, one) for one in answers]),
        "plain_rkme": np.stack([_distances(models, query) for query in queries]),
        "proxies_alone": np.stack([_by_proxies(stall, query) for query in queries]),
        "label_names": np.array([[_named(stall, t, m) for m in range(shape[1])] for t in tasks]),
        "models_run_on_the_samples": np.array(
            [[_run(stall, task, model) for model in range(shape[1])] for task in tasks]
        ),
        "random": random.random(shape),
    }


def refusals(
    stall: Stall, tasks: Sequence[Task], queries: Sequence[Specification]
) -> dict[str, object]:
    """How often something is said to fit: in the market, and without the models of any class of it.

    A class counts as found where the one that was chosen for it is called the same.
    """
    index = Index(zip(stall.names(), stall.specifications, strict=True))
    known, alien, known_classes, right, alien_classes = [], [], [], [], []
    for task, query in zip(tasks, queries, strict=True):
        known.append(index.models(query).fits)
        for one in index.classes(query, 1).classes:
            known_classes.append(one.matches[0].fits)
            right.append(one.matches[0].label_name == one.user_class)
        without = Index(
            (name, specification)
            for name, specification, model in zip(
                stall.names(), stall.specifications, stall.models, strict=True
            )
            if model.entry.data is not task.data or not set(model.entry.classes) & set(task.classes)
        )
        alien.append(without.models(query).fits)
        alien_classes += [one.matches[0].fits for one in without.classes(query, 1).classes]
    return {
        "fits_where_known": float(np.mean(known)),
        "fits_where_unknown": float(np.mean(alien)),
        "class_fits_where_known": float(np.mean(known_classes)),
        "class_fits_where_unknown": float(np.mean(alien_classes)),
        "class_found": float(np.mean(right)),
    }


def _scores(stall: Stall, found: ModelsFound) -> Table:
    """The scores in the market's order; those of 0 are ties, as for users."""
    place = {name: number for number, name in enumerate(stall.names())}
    scores = np.zeros(len(place))
    for match in found.matches:
        scores[place[match.model]] = match.score
    return scores


def _distances(models: Sequence[Embedding], query: Specification) -> Table:
    """Plain RKME: how near all of a model's samples are to all of the user's."""
    user = embed(query, Units(query.offset, query.scale), np.float32)
    own = user.shares @ user.gram @ user.shares
    found = []
    for model in models:
        cross = user.shares @ inner_products(user, [model]) @ model.shares
        theirs = model.shares @ model.gram @ model.shares
        found.append(-(own + theirs - 2 * cross))
    return np.array(found)


def _by_proxies(stall: Stall, query: Specification) -> Table:
    """What the proxies alone expect."""
    found = []
    for model in stall.specifications:
        logits = query.points @ model.proxy + model.bias
        said = scoring.opinions(query, logits, np.zeros(1, np.int64))
        rows, columns = linear_sum_assignment(-said)
        found.append(float(said[rows, columns].sum()) / len(said))
    return np.array(found)


def _named(stall: Stall, task: Task, model: int) -> float:
    """The share of the task's class names that a model has."""
    names = {stall.test[task.data].names[label] for label in task.classes}
    return len(names & set(stall.specifications[model].labels)) / len(names)


def _run(stall: Stall, task: Task, model: int) -> float:
    """What a model does on the user's own samples: with them and the model at hand, no search."""
    part = stall.test[task.data]
    outputs = stall.outputs[model][task.data][task.shown]
    shares = confusion(outputs, part.places(task.shown, task.classes), len(task.classes))
    return float(best_assignment(shares).mean())
