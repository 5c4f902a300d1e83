"""Greedy column subset selection on Gram matrices (ALGORITHM.md, section 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAMPING = 1e-6
"""λ of the selection, as a share of the Gram matrix's mean diagonal."""

CANDIDATE_FLOOR = 1e-6
"""A unit whose residual diagonal is below this share of the mean is no candidate."""


@dataclass(frozen=True)
class Target:
    """What the kept units of a group have to explain at one of its consumers.

    Attributes:
        gram: G = Σ w·a·aᵀ over samples and positions, float64 `(u, u)`.
        metric: The consumer's metric M, float64 `(u, u)`, symmetric positive semidefinite.
    """

    gram: NDArray[np.float64]
    metric: NDArray[np.float64]


def greedy_columns(targets: Sequence[Target], count: int) -> NDArray[np.int64]:
    """Picks units one by one, each time the one that leaves the least unexplained.

    Takes the unit that lowers Σ tr(M·(G − G_S(G_SS + λI)⁻¹G_Sᵀ)) most, summed over the consumers,
    each as a share of its own tr(M·G). Dead units and units that the chosen ones explain already
    are no candidates; where candidates run out before `count`, the rest is filled by energy in
    the consumers' metrics, dead units last, ties by index.

    Args:
        targets: One per consumer of the group, all over the same u units.
        count: Units to pick, 1 to u.

    Returns:
        Units in the order of their choice, int64 `(count,)`: a prefix of it is the choice for a
        smaller count.
    """
    residuals = [_Residual(target, count) for target in targets]
    units = len(targets[0].gram)
    chosen: list[int] = []
    free = np.ones(units, dtype=np.bool_)
    while len(chosen) < count:
        alive = np.logical_or.reduce([residual.alive() for residual in residuals]) & free
        if not alive.any():
            break
        gains = np.sum([residual.gains() for residual in residuals], axis=0)
        unit = int(np.argmax(np.where(alive, gains, -np.inf)))
        for residual in residuals:
            residual.explain(unit)
        free[unit] = False
        chosen.append(unit)
    if len(chosen) < count:
        energy = np.sum([residual.energy for residual in residuals], axis=0)
        rest = [unit for unit in np.argsort(-energy, kind="stable") if free[unit]]
        chosen.extend(int(unit) for unit in rest[: count - len(chosen)])
    return np.asarray(chosen, dtype=np.int64)


class _Residual:
    """What the chosen units do not explain yet at one consumer: E = G − C·Cᵀ, never formed.

    Two products of a matrix and a vector per chosen unit, and no matrix is written.
    """

    def __init__(self, target: Target, count: int) -> None:
        """Begins with nothing explained; `count` is the most that will be."""
        gram, metric = target.gram, target.metric
        scale = float(np.trace(gram)) / len(gram)
        total = float(np.sum(metric * gram))
        self._gram, self._metric = gram, metric
        self._damping = DAMPING * scale
        self._floor = CANDIDATE_FLOOR * scale
        self._total = total if total > 0 else 1.0
        self._explained = np.zeros((len(gram), count), order="F")
        self._chosen = 0
        self._diagonal = np.diag(gram).copy()
        # (E·M·E)ⱼⱼ: what unit j would explain, times its pivot.
        self._lowered = np.einsum("ij,ij->j", gram, metric @ gram)
        self.energy = np.diag(gram) * np.diag(metric) / self._total

    def alive(self) -> NDArray[np.bool_]:
        """Units whose residual diagonal is above the floor; `(u,)`."""
        return np.asarray(self._diagonal > self._floor)

    def gains(self) -> NDArray[np.float64]:
        """How much each unit would lower the trace, as a share of tr(M·G); `(u,)`."""
        pivots = np.maximum(self._diagonal, 0.0) + self._damping
        safe = np.where(pivots > 0, pivots, 1.0)
        return np.asarray(np.where(pivots > 0, self._lowered / safe, 0.0) / self._total)

    def explain(self, unit: int) -> None:
        """Adds the column of `unit` to C, and downdates the two diagonals by it."""
        pivot = max(float(self._diagonal[unit]), 0.0) + self._damping
        if pivot <= 0:
            return
        known = self._explained[:, : self._chosen]
        column = (self._gram[:, unit] - known @ known[unit]) / np.sqrt(pivot)
        weighted = self._metric @ column
        against = self._gram @ weighted - known @ (known.T @ weighted)
        self._lowered += column * (column * (column @ weighted) - 2.0 * against)
        self._diagonal -= column * column
        self._explained[:, self._chosen] = column
        self._chosen += 1
