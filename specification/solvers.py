"""Solvers of scipy, imported by the first search: a server that nobody asks does without 50 MB."""

from __future__ import annotations

from specification.model import Floats, Places


def assigned(worth: Floats) -> tuple[Places, Places]:
    """Assigns rows and columns to each other, one to one, for the greatest sum.

    Args:
        worth: What each row gains from each column `(m, n)`.

    Returns:
        The rows and their columns, `min(m, n)` each, by rising row.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(worth, maximize=True)
    return rows, columns


def non_negative(rows: Floats, wanted: Floats) -> Floats:
    """Solves least squares with no negative unknown (Lawson and Hanson, 1974).

    Args:
        rows: The equations `(m, n)`.
        wanted: What they are to give `(m,)`.

    Returns:
        The unknowns `(n,)`.
    """
    from scipy.optimize import nnls

    found: Floats = nnls(rows, wanted)[0]
    return found
