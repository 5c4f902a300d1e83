"""However quickly it is found: a search answers what comparing everything one by one answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from specification.index import Index
from specification.labelling import Labelling
from specification.making import make
from specification.model import Specification
from svckit.input_spec import FLOAT32, InputSpec, Tensor
from tests.specification.pictures import specified
from tests.specification.plain_search import plainly

ALIKE = 1e-6
MODELS = 150
"""More than a shortlist."""
KNOWN = (
    ("rows", "columns", "reds"),
    ("discs", "blues", "reds", "rows"),
    ("blues", "noise", "discs"),
)


def pictures() -> dict[str, Specification]:
    """Models of three and four classes, each like one of a few with its points shaken."""
    random = np.random.default_rng(1)
    bases = [specified(patterns, seed) for patterns in KNOWN for seed in (1, 2)]
    found = {}
    for number in range(MODELS):
        base = bases[number % len(bases)]
        width = base.points.std() * 0.1 * random.random()
        shaken = base.points + width * random.normal(size=base.points.shape)
        found[f"model-{number}"] = replace(base, points=shaken.astype(np.float32))
    found["unlabelled"] = specified(("rows", "reds"), 7, labelled=False)
    return {**found, "exact": bases[0]}


def numbers() -> dict[str, Specification]:
    return {f"table-{number}": rows_of(3 * number, number) for number in range(6)}


def rows_of(shift: float, seed: int) -> Specification:
    random = np.random.default_rng(seed)
    labels = np.repeat([0, 1, 2], 20)
    values = random.normal(size=(60, 4)) * [1.0, 100.0, 0.01, 1.0]
    values[:, 0] += shift + 3 * labels
    values[:, 1] += 1000
    spec = InputSpec("row", (4,), FLOAT32, Tensor())
    outputs = 0.7 * np.eye(3)[labels] + 0.1
    return make({"row": values}, [spec], Labelling(("low", "mid", "high"), labels, outputs), seed=0)


PICTURES, NUMBERS = pictures(), numbers()


@pytest.mark.parametrize(
    ("market", "query"),
    [
        (PICTURES, specified(("rows", "columns", "reds"), 50, count=8, model=False)),
        (PICTURES, specified(("blues", "discs"), 51, count=20, model=False)),
        (PICTURES, specified(("noise",), 52, count=8, model=False)),
        (NUMBERS, rows_of(3, 60)),
        (NUMBERS, rows_of(40, 61)),
    ],
)
def test_a_search_answers_what_comparing_one_by_one_does(
    market: Mapping[str, Specification], query: Specification
) -> None:
    comparable = {name: one for name, one in market.items() if len(one.labels) >= len(query.labels)}
    found = Index(comparable.items()).models(query, MODELS).matches
    expected = plainly(comparable, query)
    assert [one.model for one in found] == [one.model for one in expected]
    assert [one.fits for one in found] == [one.fits for one in expected]
    assert [tuple(each.label for each in one.classes) for one in found] == [
        one.labels for one in expected
    ]
    for part in ("score", "excess"):
        ours = [getattr(one, part) for one in found]
        np.testing.assert_allclose(
            ours, [getattr(one, part) for one in expected], rtol=ALIKE, atol=ALIKE
        )


def test_a_market_in_which_models_come_and_go_is_searched_as_a_new_one() -> None:
    random = np.random.default_rng(2)
    index, there = Index(), dict[str, Specification]()
    query = specified(("rows", "columns"), 50, count=8, model=False)
    for step in range(600):
        name = str(random.choice(list(PICTURES)))
        # First it grows, then it shrinks to little.
        if random.random() < (0.8 if step < 300 else 0.2):
            there.pop(name, None)
            there[name] = PICTURES[name]
            index.add(name, PICTURES[name])
        else:
            there.pop(name, None)
            index.remove(name)
        if step % 50 == 0 and there:
            new = Index(there.items())
            assert index.models(query, MODELS) == new.models(query, MODELS)
            assert index.classes(query, MODELS) == new.classes(query, MODELS)
    assert len(index) == len(there)


def test_models_of_the_same_weights_are_told_alike_wherever_they_stand() -> None:
    twin = specified(("rows", "columns", "discs"), 5)
    others = list(PICTURES.items())[:40]
    index = Index()
    for place, (name, one) in enumerate(others):
        index.add(name, one)
        if place % 3 == 0:
            index.add(f"twin-{place}", twin)
    query = specified(("rows", "columns"), 50, count=8, model=False)
    twins = [one for one in index.models(query, 100).matches if one.model.startswith("twin")]
    assert len(twins) == 14
    assert len({(one.score, one.distance, one.excess) for one in twins}) == 1
    assert [one.model for one in twins] == sorted(one.model for one in twins)
