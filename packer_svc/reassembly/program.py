"""Which blocks to take: an integer program, solved to a proven optimum.

One block of every set and of every stage, within budgets, with the best training-free score. Most
of the score of a network is log|K|, K the sum of its blocks' pattern kernels: a concave function of
which blocks are taken, not a sum over them. So it is not made linear by leaving something out, but
maximised by outer approximation (Duran and Grossmann, 1986): HiGHS solves a linear program with
whole numbers in which the score is bounded by its tangents, one more of them at every solution,
until the bound meets the best score found. That bound is the proof.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, OptimizeResult, milp
from scipy.sparse import coo_array, csr_array, hstack, vstack

from packer_svc.reassembly.patterns import log_determinant, shift_of

Array = NDArray[np.float64]
Chosen = tuple[int, ...]

TOLERANCE = 1e-7
"""How far the bound may be above the score of what is called an optimum, in nats a sample."""
_INFEASIBLE = 2
_TIME_LIMIT = 1


@dataclass(frozen=True, eq=False)
class Cost:
    """What blocks cost of something.

    Attributes:
        blocks: `(B,)`.
        seams: `(B, B)`, of a stitch from one block to the next.
    """

    blocks: Array
    seams: Array

    def of(self, chosen: Sequence[int]) -> float:
        """The cost of blocks in the order of their stages."""
        seams = sum(float(self.seams[a, b]) for a, b in _seams(chosen))
        return float(self.blocks[list(chosen)].sum()) + seams


@dataclass(frozen=True, eq=False)
class Choice:
    """What may be chosen.

    Attributes:
        groups: The set of every block, `(B,)`, 0 to K - 1.
        stages: Its stage, `(B,)`, 0 to K - 1.
        kernels: Its pattern kernel, `(B, n, n)`.
        worth: What is added to the score for it, `(B,)`.
        seams: What is added to the score for one block behind another, `(B, B)`; minus infinity
            where they cannot be joined.
        costs: By what is limited.
    """

    groups: NDArray[np.int64]
    stages: NDArray[np.int64]
    kernels: Array
    worth: Array
    seams: Array
    costs: Mapping[str, Cost]

    @cached_property
    def shift(self) -> float:
        """What is added to the diagonal of every sum of kernels."""
        return shift_of(list(self.kernels))

    def kernel(self, shares: Array) -> Array:
        """The kernel of some of each block."""
        total: Array = np.tensordot(shares, self.kernels, axes=1)
        return total + self.shift * np.eye(len(total))

    def score(self, chosen: Sequence[int]) -> float:
        """The score of blocks in the order of their stages, in nats a sample."""
        shares = np.zeros(len(self.groups))
        shares[list(chosen)] = 1.0
        seams = sum(float(self.seams[a, b]) for a, b in _seams(chosen))
        return log_determinant(self.kernel(shares)) + float(self.worth @ shares) + seams


@dataclass(frozen=True)
class Optimum:
    """A choice and how good any other could be.

    Attributes:
        blocks: The blocks in the order of their stages.
        score: Its score, in nats a sample.
        bound: No choice has a higher score.
        rounds: How many linear programs were solved.
        seconds: How long it took.
    """

    blocks: Chosen
    score: float
    bound: float
    rounds: int
    seconds: float

    @property
    def gap(self) -> float:
        """How much better another choice could be, as a share of the score; 0 is a proof."""
        difference = self.bound - self.score
        return 0.0 if difference <= TOLERANCE else difference / max(abs(self.score), 1e-12)


class Program:
    """The integer program of a choice under budgets.

    Args:
        choice: What may be chosen.
        budgets: The most of each cost; costs without a budget are free.
    """

    def __init__(self, choice: Choice, budgets: Mapping[str, float]) -> None:
        self._choice = choice
        self._budgets = dict(budgets)
        joined = np.isfinite(choice.seams) & (choice.stages[:, None] + 1 == choice.stages)
        self._from, self._to = np.nonzero(joined)
        self._count = len(choice.groups)
        self._slopes: list[Array] = []
        self._levels: list[float] = []
        self._touch(np.full(self._count, (choice.stages.max() + 1) / self._count))

    @property
    def blocks(self) -> int:
        """Among how many blocks it chooses."""
        return self._count

    def best(self, without: Sequence[Chosen] = (), *, seconds: float = 30.0) -> Optimum | None:
        """Finds the best choice.

        Args:
            without: Choices that are left out.
            seconds: After this time the best one so far is returned, with its bound.

        Returns:
            The best choice; None if there is none within the budgets.

        Raises:
            TimeoutError: None was found in time.
        """
        start = time.perf_counter()
        best: tuple[float, Chosen] | None = None
        bound, rounds, without = np.inf, 0, list(without)
        while True:
            left = seconds - (time.perf_counter() - start)
            found = self._linear(without, max(left, 0.1))
            rounds += 1
            if found is None:
                return None
            chosen, limit = found
            bound = min(bound, limit)
            if chosen is not None and not self._keeps(chosen):
                # Within the solver's tolerance, and not within the budget.
                without.append(chosen)
            elif chosen is not None:
                score = self._choice.score(chosen)
                if best is None or score > best[0]:
                    best = (score, chosen)
                self._touch(self._shares(chosen))
            spent = time.perf_counter() - start
            if best is not None and (bound - best[0] <= TOLERANCE or spent > seconds):
                bound = max(bound, best[0])
                return Optimum(best[1], best[0], bound, rounds, spent)
            if spent > seconds:
                raise TimeoutError(f"no choice of blocks was found in {seconds:g} s")

    def _keeps(self, chosen: Chosen) -> bool:
        costs = self._choice.costs
        return all(costs[n].of(chosen) <= most * (1 + 1e-9) for n, most in self._budgets.items())

    def least(self) -> dict[str, float] | None:
        """The smallest budgets that can be met, all of them the same factor larger or smaller.

        Returns:
            By cost; None if no blocks can be joined whatever they cost, or none were found in a
            minute.
        """
        rows, shares = [], []
        for name, budget in self._budgets.items():
            row = self._row(self._choice.costs[name])
            scale = max(float(row.max()), 1e-300)
            rows.append(row / scale)
            shares.append(budget / scale)
        sizes = self._count + len(self._from)
        # One more variable: the factor, in units of the budget that is largest for its costs.
        factors = -np.array([[share / max(shares)] for share in shares])
        structure, exact = self._structure()
        limits = [
            LinearConstraint(hstack([structure, csr_array((len(exact), 1))]), exact, exact),
            LinearConstraint(hstack([csr_array(np.stack(rows)), factors]), -np.inf, 0.0),
        ]
        target = np.zeros(sizes + 1)
        target[-1] = 1.0
        found = _solved(target, self._whole(1), limits, 60.0)
        if found.x is None:
            return None
        chosen = self._read(found.x)
        return {name: self._choice.costs[name].of(chosen) for name in self._budgets}

    def _linear(
        self, without: Sequence[Chosen], seconds: float
    ) -> tuple[Chosen | None, float] | None:
        """Solves the program with the tangents so far: blocks, and what no score is above."""
        structure, exact = self._structure()
        height = len(exact)
        seams = self._choice.seams[self._from, self._to]
        limits = [LinearConstraint(hstack([structure, csr_array((height, 1))]), exact, exact)]
        # t - slope · x ≤ level
        pads = np.zeros((len(self._slopes), len(self._from)))
        ones = np.ones((len(self._slopes), 1))
        tangents = np.concatenate([-np.stack(self._slopes), pads, ones], axis=1)
        limits.append(LinearConstraint(csr_array(tangents), -np.inf, np.array(self._levels)))
        for name, budget in self._budgets.items():
            row = np.append(self._row(self._choice.costs[name]), 0.0)
            # The solver's tolerance is a share of the budget, unless that is beyond all reach.
            scale = max(budget, 1e-3 * float(row.max()))
            limits.append(LinearConstraint((row / scale)[None], -np.inf, budget / scale))
        for chosen in without:
            row = np.zeros(self._count + len(self._from) + 1)
            row[list(chosen)] = 1.0
            limits.append(LinearConstraint(row[None], -np.inf, len(chosen) - 1))
        target = -np.concatenate([self._choice.worth, seams, [1.0]])
        found = _solved(target, self._whole(1), limits, seconds)
        if found.status == _INFEASIBLE:
            return None
        bound = np.inf if found.mip_dual_bound is None else -float(found.mip_dual_bound)
        return (None if found.x is None else self._read(found.x)), bound

    def _structure(self) -> tuple[csr_array, Array]:
        """One block a set, one a stage, and each chosen block's seams to its neighbours."""
        choice, links = self._choice, len(self._from)
        places = np.arange(self._count)
        last = int(choice.stages.max())
        blocks = [
            _matrix(choice.groups, places, int(choice.groups.max()) + 1, self._count, links),
            _matrix(choice.stages, places, last + 1, self._count, links),
        ]
        exact = [np.ones(int(choice.groups.max()) + 1), np.ones(last + 1)]
        for ends, inner in (
            (self._from, np.flatnonzero(choice.stages < last)),
            (self._to, np.flatnonzero(choice.stages > 0)),
        ):
            row_of = np.full(self._count, -1)
            row_of[inner] = np.arange(len(inner))
            shape = (len(inner), self._count + links)
            rows = np.concatenate([np.arange(len(inner)), row_of[ends]])
            columns = np.concatenate([inner, self._count + np.arange(links)])
            signs = np.concatenate([-np.ones(len(inner)), np.ones(links)])
            blocks.append(csr_array(coo_array((signs, (rows, columns)), shape=shape)))
            exact.append(np.zeros(len(inner)))
        return csr_array(vstack(blocks)), np.concatenate(exact)

    def _row(self, cost: Cost) -> Array:
        return np.concatenate([cost.blocks, cost.seams[self._from, self._to]])

    def _whole(self, more: int) -> tuple[Array, Bounds]:
        """Which variables are whole numbers, and all bounds: seams are whole if blocks are."""
        links = len(self._from)
        whole = np.concatenate([np.ones(self._count), np.zeros(links + more)])
        low = np.concatenate([np.zeros(self._count + links), np.full(more, -np.inf)])
        high = np.concatenate([np.ones(self._count + links), np.full(more, np.inf)])
        return whole, Bounds(low, high)

    def _read(self, solution: Array) -> Chosen:
        chosen = np.flatnonzero(solution[: self._count] > 0.5)
        return tuple(int(place) for place in sorted(chosen, key=lambda p: self._choice.stages[p]))

    def _shares(self, chosen: Chosen) -> Array:
        shares = np.zeros(self._count)
        shares[list(chosen)] = 1.0
        return shares

    def _touch(self, shares: Array) -> None:
        """Adds the score's tangent at some shares of blocks: log|K(x)| ≤ level + slope · x."""
        kernel = self._choice.kernel(shares)
        inverse = np.linalg.inv(kernel)
        slope = np.einsum("ij,bji->b", inverse, self._choice.kernels) / len(kernel)
        self._slopes.append(slope)
        self._levels.append(log_determinant(kernel) - float(slope @ shares))


def _seams(chosen: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(chosen))


def _matrix(
    rows: NDArray[np.int64], columns: NDArray[np.int64], height: int, blocks: int, links: int
) -> csr_array:
    ones = np.ones(len(rows))
    return csr_array(coo_array((ones, (rows, columns)), shape=(height, blocks + links)))


def _solved(
    target: Array, kinds: tuple[Array, Bounds], limits: Sequence[LinearConstraint], seconds: float
) -> OptimizeResult:
    whole, bounds = kinds
    options = {"mip_rel_gap": 0.0, "time_limit": seconds, "presolve": True}
    return milp(target, integrality=whole, bounds=bounds, constraints=limits, options=options)
