"""Sharing one budget among the branches of a pack: what each may cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

ROUNDING = 1e-9
"""What a sum of costs may miss a budget by that is met exactly, as a share of it."""


@dataclass(frozen=True)
class Choice:
    """One size that a branch can have: a fragment, or several that share a graph.

    Attributes:
        cost: What it costs, at least 0.
        loss: What it loses; branches lose together what the sum of these is.
    """

    cost: float
    loss: float


@dataclass(frozen=True)
class _Step:
    """From one corner of a branch's hull to the next.

    Attributes:
        won: Loss that it takes away per cost.
        branch: The branch's place.
        choice: The choice that it leads to.
        cost: What it costs more.
    """

    won: float
    branch: int
    choice: int
    cost: float


def least_cost(choices: Sequence[Sequence[Choice]]) -> float:
    """The cost of the smallest pack: every branch at its cheapest."""
    return sum(min(choice.cost for choice in one) for one in choices)


def allocate(choices: Sequence[Sequence[Choice]], budget: float) -> list[int] | None:
    """Chooses a size for every branch so that the losses add up to little within a budget.

    First along the lower convex hulls of what the sizes of each branch cost and lose: all
    branches' steps from corner to corner in the order of what they win per cost, as long as they
    fit. Up to the first one that does not fit this is the best that the budget can buy; no choice
    of sizes loses less than that sum and the share of that step that would still fit. What is left
    then goes, step by step, to whatever of all sizes wins most per cost.

    Args:
        choices: By branch the sizes that it can have, at least one.
        budget: What all may cost together.

    Returns:
        By branch the place of its size; None if even the smallest pack costs more. Equal
        arguments give equal sizes, and of equal branches the first is served first.
    """
    allowed = budget * (1 + ROUNDING)
    hulls = [_hull(one) for one in choices]
    chosen = [hull[0] for hull in hulls]
    left = allowed - sum(one[place].cost for one, place in zip(choices, chosen, strict=True))
    if left < 0:
        return None
    steps = [
        step for place, hull in enumerate(hulls) for step in _steps(choices[place], hull, place)
    ]
    # Python sorts stably: the steps of one branch stay in their order.
    for step in sorted(steps, key=lambda step: -step.won):
        if step.cost > left:
            break
        chosen[step.branch] = step.choice
        left -= step.cost
    return _spend_rest(choices, chosen, left)


def _hull(choices: Sequence[Choice]) -> list[int]:
    """The corners of the lower convex hull by rising cost and falling loss, as places."""
    corners: list[int] = []
    for place in sorted(range(len(choices)), key=lambda i: (choices[i].cost, choices[i].loss)):
        if corners and choices[place].loss >= choices[corners[-1]].loss:
            continue
        while len(corners) > 1 and not _bends(choices, corners[-2], corners[-1], place):
            corners.pop()
        corners.append(place)
    return corners


def _bends(choices: Sequence[Choice], first: int, second: int, third: int) -> bool:
    """Whether the second of three choices lies below the line from the first to the third."""
    a, b, c = choices[first], choices[second], choices[third]
    return (a.loss - b.loss) * (c.cost - a.cost) > (a.loss - c.loss) * (b.cost - a.cost)


def _steps(choices: Sequence[Choice], hull: Sequence[int], branch: int) -> list[_Step]:
    found = []
    for before, after in pairwise(hull):
        cost = choices[after].cost - choices[before].cost
        won = (choices[before].loss - choices[after].loss) / cost
        found.append(_Step(won, branch, after, cost))
    return found


def _spend_rest(choices: Sequence[Sequence[Choice]], chosen: list[int], left: float) -> list[int]:
    """Buys what still fits, that which wins most per cost first."""
    while True:
        best: _Step | None = None
        for branch, one in enumerate(choices):
            now = one[chosen[branch]]
            for place, then in enumerate(one):
                cost, won = then.cost - now.cost, now.loss - then.loss
                if 0 < cost <= left and won > 0 and (best is None or won / cost > best.won):
                    best = _Step(won / cost, branch, place, cost)
        if best is None:
            return chosen
        chosen[best.branch] = best.choice
        left -= best.cost
