"""Do two arrays of numbers agree? By numpy alone, so that whoever serves a model can ask too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Tolerance:
    """|a − b| ≤ atol + rtol·|b| for every number; b is the reference's.

    Attributes:
        atol: Absolute. Extreme inputs make logits of some hundreds, of which float32 rounds off
            some 1e-5 of a probability.
        rtol: Relative.
    """

    atol: float = 1e-4
    rtol: float = 1e-3


@dataclass(frozen=True)
class Parity:
    """How far two arrays of scores lie apart.

    Attributes:
        max_abs: max|a − b|.
        max_rel: max|a − b| / max|b|; b is the reference.
        cosine: Cosine of the angle between the flattened arrays; 1.0 if both are zero.
        top1: Share of rows whose largest entry is at the same place.
        passed: Whether they agree within the tolerance that they were compared with.
    """

    max_abs: float
    max_rel: float
    cosine: float
    top1: float
    passed: bool


def compare(
    a: npt.NDArray[np.generic], b: npt.NDArray[np.generic], *, atol: float, rtol: float
) -> Parity:
    """Compares an array with its reference: passed if max|a − b| ≤ atol + rtol · max|b|.

    The tolerance is against the largest entry of the reference, not entry by entry: rounding in a
    dot product scales with its terms, not with its result.

    Args:
        a: Array `(N, ...)`.
        b: The reference, of the same shape.
        atol: Absolute tolerance.
        rtol: Tolerance relative to max|b|.

    Returns:
        The distances; a difference in shape, NaN or infinity never passes.
    """
    if a.shape != b.shape or not a.size:
        return Parity(np.inf, np.inf, 0.0, 0.0, passed=False)
    left, right = a.astype(np.float64), b.astype(np.float64)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return Parity(np.inf, np.inf, 0.0, 0.0, passed=False)
    max_abs = float(np.abs(left - right).max())
    scale = float(np.abs(right).max())
    return Parity(
        max_abs=max_abs,
        max_rel=max_abs / scale if scale else (0.0 if max_abs == 0 else np.inf),
        cosine=_cosine(left.ravel(), right.ravel()),
        top1=_top1(left, right),
        passed=max_abs <= atol + rtol * scale,
    )


def parity_of(
    answers: npt.NDArray[np.generic], expected: npt.NDArray[np.generic], tolerance: Tolerance
) -> Parity:
    """Compares what a model answers, number by number, with its reference.

    Where two classes lie closer together than the tolerance, their order is rounding and does not
    fail; it still counts in `top1`.

    Args:
        answers: Probabilities `(N, C)`, or one score a row, `(N,)` or `(N, 1)`.
        expected: The reference's, of the same shape.
        tolerance: What counts as equal.

    Returns:
        The distances; a difference in shape, NaN or infinity never passes.
    """
    whole = compare(answers, expected, atol=tolerance.atol, rtol=tolerance.rtol)
    if not np.isfinite(whole.max_abs):
        return whole
    rows = len(expected)
    a, b = (each.astype(np.float64).reshape(rows, -1) for each in (answers, expected))
    allowed = tolerance.atol + tolerance.rtol * np.abs(b)
    given_up = b.max(axis=1) - b[np.arange(rows), a.argmax(axis=1)]
    same_class = bool((given_up <= 2 * allowed.max(axis=1)).all())
    within = bool((np.abs(a - b) <= allowed).all())
    return Parity(whole.max_abs, whole.max_rel, whole.cosine, whole.top1, within and same_class)


def worst(parities: Sequence[Parity]) -> Parity:
    """What holds of several outputs, at least one: the furthest apart of each distance."""
    return Parity(
        max_abs=max(each.max_abs for each in parities),
        max_rel=max(each.max_rel for each in parities),
        cosine=min(each.cosine for each in parities),
        top1=min(each.top1 for each in parities),
        passed=all(each.passed for each in parities),
    )


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norms == 0.0:
        return 1.0 if not a.any() and not b.any() else 0.0
    return float(a @ b) / norms


def _top1(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    rows = a.shape[0] if a.ndim else 1
    same = a.reshape(rows, -1).argmax(axis=1) == b.reshape(rows, -1).argmax(axis=1)
    return float(same.mean())
