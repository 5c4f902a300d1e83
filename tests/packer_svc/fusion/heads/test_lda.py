import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from packer_svc.fusion.heads import lda


def _samples(n_per_class: int, columns: int) -> tuple[lda.Array, lda.Labels]:
    generator = np.random.default_rng(n_per_class + columns)
    labels = np.repeat(np.arange(3), n_per_class)
    spread = generator.uniform(0.1, 2.0, columns)
    centres = 0.5 * generator.standard_normal((3, columns))
    rows = centres[labels] + spread * generator.standard_normal((len(labels), columns))
    return rows, labels


@pytest.mark.parametrize("columns", [7, 90])
@pytest.mark.parametrize("strength", [0.05, 0.5, 1.0])
def test_left_out_scores_are_those_of_a_fit_without_the_sample(
    columns: int, strength: float
) -> None:
    rows, labels = _samples(8, columns)
    space = lda.scatter(rows, labels, 3)
    scores = lda.left_out_scores(space, strength)
    for left_out in (0, 11, 23):
        kept = np.arange(len(rows)) != left_out
        means = lda.class_means(rows[kept], labels[kept], 3)
        deviations = rows[kept] - means[labels[kept]]
        ridge = strength * space.ridge * space.freedom
        penalised = (1 - strength) * deviations.T @ deviations + ridge * np.eye(columns)
        apart = rows[left_out] - means
        distances = np.einsum("cp,cp->c", apart, np.linalg.solve(penalised, apart.T).T)
        expected = -0.5 * (space.freedom - 1) * distances
        np.testing.assert_allclose(
            scores[left_out] - scores[left_out, 0], expected - expected[0], rtol=1e-6, atol=1e-8
        )


@pytest.mark.parametrize("columns", [7, 90])
def test_discriminants_agree_with_shrinkage_lda_of_scikit_learn(columns: int) -> None:
    rows, labels = _samples(8, columns)
    space = lda.scatter(rows, labels, 3)
    weight, bias = lda.on_columns(space, *lda.discriminants(space, 0.3))
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3, priors=[1 / 3] * 3)
    reference.fit(rows, labels)
    # Scikit-learn divides the scatter by n, not by its degrees of freedom: a factor, no more.
    factor = len(rows) / (len(rows) - 3)
    ours = rows @ weight + bias
    theirs = (rows @ reference.coef_.T + reference.intercept_) / factor
    np.testing.assert_allclose(ours - ours[:, :1], theirs - theirs[:, :1], rtol=1e-7, atol=1e-8)


def test_samples_without_any_spread_within_a_class_give_the_nearest_mean() -> None:
    rows = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 3.0]])
    space = lda.scatter(rows, np.arange(3), 3)
    weight, bias = lda.on_columns(space, *lda.discriminants(space, 0.9))
    asked = np.array([[0.5, 0.4], [3.0, 1.0], [0.0, 2.0]])
    assert (asked @ weight + bias).argmax(axis=1).tolist() == [0, 1, 2]
