import numpy as np
import pytest

from onnxgraph.agreement import Tolerance, compare, parity_of


def test_equal_arrays_pass_without_tolerance() -> None:
    a = np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)
    parity = compare(a, a.copy(), atol=0, rtol=0)
    assert parity.passed
    assert (parity.max_abs, parity.max_rel, parity.top1) == (0.0, 0.0, 1.0)
    assert parity.cosine == pytest.approx(1.0)


def test_the_tolerance_is_relative_to_the_largest_entry() -> None:
    b = np.array([[100.0, 0.001]], np.float32)
    a = b + np.float32(0.009)
    assert compare(a, b, atol=0, rtol=1e-4).passed
    assert not compare(a, b, atol=0, rtol=1e-5).passed
    assert compare(a, b, atol=0.01, rtol=0).passed


def test_top1_counts_the_rows_that_agree() -> None:
    a = np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 5.0], [5.0, 0.0]])
    b = np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 5.0], [5.0, 0.0]])
    assert compare(a, b, atol=10, rtol=0).top1 == 0.75


def test_opposite_arrays_have_a_cosine_of_minus_one() -> None:
    a = np.array([[1.0, 2.0, 3.0]])
    parity = compare(-a, a, atol=0, rtol=0.1)
    assert parity.cosine == pytest.approx(-1.0)
    assert parity.max_rel == pytest.approx(2.0)
    assert not parity.passed


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_never_passes(bad: float) -> None:
    a = np.array([1.0, bad])
    assert not compare(a, a, atol=1e9, rtol=1e9).passed
    assert not compare(a, np.ones(2), atol=1e9, rtol=1e9).passed


def test_different_shapes_never_pass() -> None:
    assert not compare(np.ones((2, 1)), np.ones((1, 2)), atol=1e9, rtol=1e9).passed


def test_zeros_equal_zeros() -> None:
    zero = np.zeros((2, 2))
    parity = compare(zero, zero, atol=0, rtol=0)
    assert parity.passed
    assert (parity.max_rel, parity.cosine) == (0.0, 1.0)


def test_answers_of_one_score_a_row_agree_number_by_number() -> None:
    expected = np.array([0.1, 0.9, 0.5])
    for shape in ((3,), (3, 1)):
        b = expected.reshape(shape)
        assert parity_of(b.astype(np.float32), b, Tolerance()).passed
        assert not parity_of(b + 0.01, b, Tolerance()).passed
        assert parity_of(b, b, Tolerance()).top1 == 1.0


def test_answers_of_another_shape_or_none_never_agree() -> None:
    wide = Tolerance(atol=1e9)
    assert not parity_of(np.ones((2, 1)), np.ones((2, 2)), wide).passed
    assert not parity_of(np.ones((0, 2)), np.ones((0, 2)), wide).passed
