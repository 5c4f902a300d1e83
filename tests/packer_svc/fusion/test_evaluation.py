"""What error a pack is expected to make."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom

from packer_svc.fusion.evaluation import (
    Evaluation,
    EvaluationKind,
    Refit,
    error_upper_bound,
    evaluate_refits,
)
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadSpec
from tests.helpers.fragments import gaussian_features


@pytest.mark.parametrize(("wrong", "samples"), [(0, 1), (0, 20), (3, 20), (19, 20), (57, 1000)])
def test_the_bound_is_the_quantile_of_clopper_and_pearson(wrong: int, samples: int) -> None:
    expected = beta.ppf(0.95, wrong + 1, samples - wrong)
    assert error_upper_bound(wrong, samples) == pytest.approx(expected, abs=1e-9)


def test_of_nothing_but_errors_the_bound_is_one() -> None:
    assert error_upper_bound(7, 7) == 1.0


@pytest.mark.parametrize("samples", [5, 30, 200])
@pytest.mark.parametrize("error", [0.01, 0.1, 0.35, 0.9])
def test_the_bound_holds_as_often_as_it_says(samples: int, error: float) -> None:
    bounds = np.array([error_upper_bound(wrong, samples) for wrong in range(samples + 1)])
    held = binom.pmf(np.arange(samples + 1), samples, error)[bounds >= error].sum()
    assert held >= 0.95


def test_more_samples_of_the_same_error_narrow_the_bound() -> None:
    bounds = [error_upper_bound(samples // 10, samples) for samples in (10, 100, 1000)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] > 0.1


def test_an_evaluation_counts_what_was_named_rightly() -> None:
    confusion = ((8, 2, 0), (0, 10, 0), (1, 0, 4))
    found = Evaluation.of(EvaluationKind.EVALUATION_SAMPLES, confusion)
    assert (found.samples, found.accuracy, found.error) == (25, 22 / 25, 3 / 25)
    assert found.error_upper_bound == error_upper_bound(3, 25)
    assert set(found.to_json()) == {
        *("kind", "accuracy", "error", "error_upper_bound", "samples", "confusion", "optimistic")
    }
    assert found.to_json()["kind"] == "evaluation_samples"
    assert found.summary()["kind"] == "EVALUATION_KIND_EVALUATION_SAMPLES"
    assert "confusion" not in found.summary()


def test_only_the_heads_own_validation_is_optimistic() -> None:
    told = {kind: Evaluation.of(kind, ((1, 0), (0, 1))).optimistic for kind in EvaluationKind}
    assert [kind for kind, optimistic in told.items() if optimistic] == [EvaluationKind.HEAD_ALONE]


def test_the_heads_cross_validation_tells_its_confusion() -> None:
    features, labels = gaussian_features(3, 8, (6, 5))
    _, report = fit_head(features, labels, 3, HeadSpec())
    found = Evaluation.of_head(report.cross_validation)
    assert found is not None
    assert found.samples == 24
    assert report.cross_validation is not None
    assert found.accuracy == report.cross_validation.accuracy
    assert [sum(row) for row in found.confusion] == [8, 8, 8]


def test_without_a_cross_validation_nothing_is_known() -> None:
    features, labels = gaussian_features(3, 1, (6,))
    _, report = fit_head(features, labels, 3, HeadSpec())
    assert Evaluation.of_head(report.cross_validation) is None


def test_a_fold_is_judged_by_a_head_that_has_not_seen_it() -> None:
    # The features are the class itself, but for the samples that are judged: of those they are
    # another's. Whoever fits on them, too, would learn that; whoever does not is always wrong.
    labels = np.repeat(np.arange(2), 10)
    features, _ = gaussian_features(2, 10, (4,))
    judged = np.array([0, 1, 10, 11])
    kept = np.setdiff1d(np.arange(20), judged)
    values = features[0].features
    values[:] = 0.01 * values
    values[:, 0] += labels
    values[judged, 0] += 1 - 2 * labels[judged]
    features[0].scores[:] = values[:, :3]
    refit = Refit(features, kept, judged)
    found = evaluate_refits([refit], labels, 2, HeadSpec(), [[0, 1]])
    assert found.confusion == ((0, 2), (2, 0))
    assert found.kind is EvaluationKind.SLICED_ANEW
    assert not found.optimistic
