"""What a search finds, and that it says so where it finds nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from specification.index import Index
from specification.labelling import Labelling
from specification.making import make
from specification.model import Specification
from specification.scoring import FITS, told
from svckit.input_spec import FLOAT32, InputSpec, Tensor, Text
from tests.specification.pictures import specified

MARKET = {
    "lines": specified(("rows", "columns"), 1),
    "round": specified(("discs", "reds", "blues"), 2),
    "mixed": specified(("rows", "reds"), 3),
}


def market() -> Index:
    return Index(MARKET.items())


def task(*patterns: str, labelled: bool = True) -> Specification:
    return specified(patterns, 50, count=8, model=False, labelled=labelled)


def test_the_model_that_knows_all_classes_comes_first_and_each_class_is_named() -> None:
    found = market().models(task("blues", "reds"))
    assert found.fits
    assert found.compared == 3
    first = found.matches[0]
    assert first.model == "round"
    assert [one.label_name for one in first.classes] == ["blues", "reds"]
    assert [one.label for one in first.classes] == [2, 1]
    assert 0.0 <= found.matches[-1].score <= first.score <= 1.0


def test_classes_are_found_across_models_and_none_twice() -> None:
    found = market().classes(task("columns", "blues", "rows"))
    chosen = [(one.matches[0].model, one.matches[0].label_name) for one in found.classes]
    assert chosen[0] == ("lines", "columns")
    assert chosen[1] == ("round", "blues")
    assert chosen[2][1] == "rows"


def test_two_classes_of_the_user_are_never_given_the_same_one() -> None:
    index = Index([("lines", MARKET["lines"])])
    samples = specified(("rows", "columns"), 60, count=8, model=False)
    found = index.classes(samples)
    assert len({one.matches[0].label for one in found.classes}) == 2


def test_nothing_fits_a_thing_that_no_model_knows() -> None:
    index = Index([("lines", MARKET["lines"])])
    found = index.models(task("discs", "blues"))
    assert not found.fits
    assert "no model fits" in found.reason
    assert not any(one.fits for one in found.matches)
    assert not index.classes(task("discs", "blues")).fits


def test_a_model_with_fewer_classes_than_the_task_does_not_fit_it() -> None:
    found = Index([("lines", MARKET["lines"])]).models(task("rows", "columns", "reds"))
    assert not found.fits
    assert "only 2 classes" in found.matches[0].reason


def test_samples_without_labels_find_the_model_whose_classes_mix_to_them() -> None:
    found = market().models(task("blues", "discs", labelled=False))
    assert found.matches[0].model == "round"
    assert found.matches[0].classes == ()
    listed = market().classes(task("blues", labelled=False))
    assert listed.classes[0].matches[0].label_name == "blues"


def test_an_empty_market_says_so() -> None:
    assert Index().models(task("rows")).reason == "the market is empty"
    found = Index().classes(task("rows"))
    assert not found.fits
    assert found.classes[0].matches == ()


def test_a_market_without_a_model_of_the_kind_asked_for_says_so() -> None:
    found = market().models(task("rows"), among=[])
    assert (found.reason, found.compared) == ("no model of the market is as asked for", 0)


def test_a_class_that_is_nearer_than_others_though_beyond_chance_is_told_so() -> None:
    # Beside a class as far away as this one, a small change of the samples counts for little.
    index = Index([("near", rows_of(0, 1)), ("far", rows_of(30, 2))])
    first = index.classes(rows_of(1.3, 3)).classes[0].matches[0]
    assert first.fits
    assert first.excess > FITS
    assert "far nearer than the model's other classes" in first.reason


@pytest.mark.parametrize(
    ("excess", "text"), [(1.4001, "1.41 times"), (1.399, "1.40 times"), (3.0, "3.00 times")]
)
def test_no_figure_contradicts_the_limit_that_is_told_with_it(excess: float, text: str) -> None:
    reason = told(excess, near=False)
    assert reason.startswith(text)
    assert reason.endswith("over 1.4") == (excess > FITS)


def test_inputs_of_another_kind_are_not_compared() -> None:
    spec = InputSpec("row", (4,), FLOAT32, Tensor())
    table = make({"row": np.random.default_rng(0).normal(size=(20, 4))}, [spec], None, seed=0)
    found = market().models(table)
    assert found.matches == ()
    assert "tensor" in found.reason


def test_two_models_of_identical_weights_are_both_found_alike() -> None:
    found = Index([("b", MARKET["lines"]), ("a", MARKET["lines"])]).models(task("rows", "columns"))
    assert [one.model for one in found.matches] == ["a", "b"]
    assert found.matches[0].score == found.matches[1].score


def test_a_model_is_replaced_and_taken_away() -> None:
    index = market()
    index.add("lines", MARKET["round"])
    assert len(index) == 3
    assert index.models(task("rows", "columns")).matches[0].model == "mixed"
    index.remove("lines")
    index.remove("lines")
    assert len(index) == 2
    assert {one.model for one in index.models(task("rows")).matches} == {"round", "mixed"}


def test_no_more_is_answered_than_was_asked_for() -> None:
    assert len(market().models(task("rows"), limit=2).matches) == 2
    assert len(market().classes(task("rows"), limit=1).classes[0].matches) == 1


def test_the_shortlist_of_many_keeps_the_one_that_fits() -> None:
    random = np.random.default_rng(0)
    index = market()
    for number in range(300):
        shaken = MARKET["mixed"].points + random.normal(size=MARKET["mixed"].points.shape)
        index.add(f"shaken-{number}", replace(MARKET["mixed"], points=shaken.astype(np.float32)))
    assert index.models(task("blues", "discs")).matches[0].model == "round"
    assert index.classes(task("columns")).classes[0].matches[0].label_name == "columns"


def rows_of(shift: float, seed: int) -> Specification:
    random = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 20)
    values = random.normal(size=(40, 4)) * [1.0, 100.0, 0.01, 1.0]
    values[:, 0] += shift + 3 * labels
    values[:, 1] += 1000
    spec = InputSpec("row", (4,), FLOAT32, Tensor())
    return make({"row": values}, [spec], Labelling(("low", "high"), labels), seed=seed)


def test_tables_are_compared_in_the_markets_own_units() -> None:
    index = Index([("near", rows_of(0, 1)), ("far", rows_of(30, 2))])
    found = index.models(rows_of(0, 3))
    assert found.matches[0].model == "near"
    assert [one.label_name for one in found.matches[0].classes] == ["low", "high"]
    assert index.models(rows_of(30, 4)).matches[0].model == "far"
    assert not index.models(rows_of(-40, 5)).fits


def test_a_market_of_tables_grows_from_one_and_shrinks_again() -> None:
    index = Index([("first", rows_of(0, 1))])
    assert index.models(rows_of(0, 2)).matches[0].model == "first"
    for number in range(4):
        index.add(f"far-{number}", rows_of(30, 10 + number))
        assert index.models(rows_of(0, 2)).matches[0].model == "first"
    for number in range(4):
        index.remove(f"far-{number}")
    assert [one.model for one in index.models(rows_of(0, 2)).matches] == ["first"]
    index.remove("first")
    assert index.models(rows_of(0, 2)).reason == "the market is empty"


def words(first: int, vocabulary: str, seed: int) -> Specification:
    spec = InputSpec("tokens", (30,), "int64", Text(vocabulary, 500, 0))
    tokens = np.random.default_rng(seed).integers(first, first + 60, size=(24, 30))
    return make({"tokens": tokens}, [spec], None, seed=seed)


def test_texts_compare_under_one_vocabulary_alone() -> None:
    index = Index([("one", words(1, "sha256:a", 1)), ("two", words(300, "sha256:a", 2))])
    assert index.models(words(300, "sha256:a", 3)).matches[0].model == "two"
    assert index.models(words(300, "sha256:b", 3)).matches == ()


@pytest.mark.parametrize(
    "spoilt",
    [
        replace(MARKET["lines"], points=MARKET["lines"].points * 1e9),
        replace(MARKET["lines"], points=MARKET["lines"].points * 0),
        replace(MARKET["lines"], proxy=MARKET["lines"].proxy * 1e12),
        replace(MARKET["lines"], bias=np.array([1e12, -1e12])),
        replace(MARKET["lines"], spreads=np.array([1e-6, 0.5])),
    ],
)
def test_a_forged_one_that_passes_for_valid_spoils_no_search(spoilt: Specification) -> None:
    index = market()
    index.add("spoilt", spoilt)
    for query in (task("blues", "reds"), task("blues", "reds", labelled=False), spoilt):
        found = index.models(query)
        assert np.isfinite([match.score for match in found.matches]).all()
        assert index.classes(query).classes
    assert index.models(task("blues", "reds")).matches[0].model == "round"


@pytest.mark.parametrize("limit", [1, 3])
def test_searching_twice_answers_the_same(limit: int) -> None:
    index = market()
    assert index.models(task("rows", "reds"), limit) == index.models(task("rows", "reds"), limit)
