"""Blocks of a market's models, and sets of blocks that can stand for one another.

Equations 2 to 4 of "Deep Model Reassembly": every model is cut into K blocks, each of fewer than
(1 + ε)|M|/K parameters, and the blocks are dealt to K sets so that those of one set are as similar
to the set's anchor as can be. Beyond the paper, the K blocks of a model go to K different sets: so
every model, whole, is one of the networks that can be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.float64]
Places = tuple[int, ...]
Point = tuple[int, int]
"""A cut point: a model's place in the market, and how many of its pieces stand in front."""

EASE = 0.2
"""ε: how much larger than |M|/K a block may be."""
RESTARTS = 24
"""How often the search begins anew."""


@dataclass(frozen=True)
class Block:
    """Some neighbouring pieces of a model.

    Attributes:
        model: The model's place in the market.
        first: The first of its pieces.
        end: The piece behind its last.
        stage: Which of the model's blocks it is, from 0 on.
        group: The set that it belongs to, from 0 on.
    """

    model: int
    first: int
    end: int
    stage: int
    group: int

    @property
    def starts_at(self) -> Point:
        """The cut point that it reads."""
        return self.model, self.first

    @property
    def ends_at(self) -> Point:
        """The cut point that it makes."""
        return self.model, self.end


@dataclass(frozen=True, eq=False)
class Market:
    """What the search needs to know of models.

    Attributes:
        parameters: The parameters of every model's pieces.
        similarity: Linear CKA between all cut points of all models, `(p, p)`: of each model its
            input and what each of its pieces makes, model by model.
    """

    parameters: Sequence[Sequence[int]]
    similarity: Array

    def offsets(self) -> list[int]:
        """Where every model's cut points begin."""
        sizes = [len(one) + 1 for one in self.parameters]
        return [0, *np.cumsum(sizes)[:-1].tolist()]


@dataclass(frozen=True)
class Cover:
    """Every model cut into blocks, and the blocks dealt to sets.

    Attributes:
        blocks: Model by model, from the front to the back.
        anchors: Of every set the block that is most similar to the others, by place in `blocks`.
        similarity: The sum of all blocks' similarity to the anchor of their set; at most 2 a block.
    """

    blocks: tuple[Block, ...]
    anchors: Places
    similarity: float


def size_limit(parameters: Sequence[int], blocks: int) -> float | None:
    """The most parameters that a block of a model may have.

    Returns:
        (1 + ε)|M|/K, or the least that any cut needs where its pieces are too large for that; None
        where there are fewer pieces than blocks.
    """
    if len(parameters) < blocks:
        return None
    sums = np.concatenate([[0], np.cumsum(parameters)])
    # best[i]: the least size of the largest block, for the first i pieces in as many blocks.
    best = np.full(len(sums), np.inf)
    best[0] = 0.0
    for _ in range(blocks):
        longer = np.full(len(sums), np.inf)
        for end in range(1, len(sums)):
            sizes = np.maximum(best[:end], sums[end] - sums[:end])
            longer[end] = sizes.min()
        best = longer
    return float(max(best[-1], (1 + EASE) * sums[-1] / blocks))


def equivalence_sets(market: Market, blocks: int, seed: int, *, restarts: int = RESTARTS) -> Cover:
    """Cuts the models and deals their blocks to sets.

    From many beginnings: boundaries move by one piece where the sum of similarities rises
    (Kernighan and Lin), then every model's blocks are dealt anew to the sets with the most similar
    anchors, until neither helps. The first beginning is the most even cut, with the sets in order.

    Args:
        market: Models of at least as many pieces as blocks.
        blocks: K.
        seed: Of the beginnings; the same seed gives the same sets.
        restarts: How many beginnings, at least 1.

    Raises:
        ValueError: A model has too few pieces.
    """
    search = _Search(market, blocks)
    random = np.random.default_rng(seed)
    best: tuple[float, list[Places], list[Places]] | None = None
    for number in range(restarts):
        draws = None if number == 0 else random
        bounds = [search.beginning(model, draws) for model in range(len(search.sizes))]
        groups = [tuple(range(blocks))] * len(bounds)
        found = search.improved(bounds, groups)
        if best is None or found[0] > best[0] + 1e-12:
            best = found
    assert best is not None
    value, bounds, groups = best
    anchors = search.anchors(bounds, groups)
    return Cover(
        tuple(
            Block(model, first, end, stage, groups[model][stage])
            for model, edges in enumerate(bounds)
            for stage, (first, end) in enumerate(pairwise(edges))
        ),
        tuple(model * blocks + stage for model, stage in anchors),
        value,
    )


class _Search:
    """Moves boundaries and deals blocks; a model's bounds are 0, K - 1 boundaries, and its end."""

    def __init__(self, market: Market, blocks: int) -> None:
        self.blocks = blocks
        self.sizes = [np.concatenate([[0], np.cumsum(one)]) for one in market.parameters]
        limits = [size_limit(one, blocks) for one in market.parameters]
        if None in limits:
            raise ValueError("a model has fewer pieces than blocks")
        # Sums of whole numbers, compared with a share of one.
        self._limits = [limit * (1 + 1e-12) for limit in limits if limit is not None]
        self._offsets = market.offsets()
        self._points = market.similarity

    def allowed(self, model: int, edges: Sequence[int]) -> bool:
        """Whether every block has a piece, and none is too large."""
        sizes, limit = self.sizes[model], self._limits[model]
        return all(a < b and sizes[b] - sizes[a] <= limit for a, b in pairwise(edges))

    def beginning(self, model: int, random: np.random.Generator | None) -> Places:
        """The most even cut, or one drawn by chance."""
        sizes, limit = self.sizes[model], self._limits[model]
        count = len(sizes) - 1
        # ends[k][i]: whether the pieces from i on can be cut into k blocks.
        ends = [[place == count for place in range(count + 1)]]
        for _ in range(self.blocks):
            ends.append(
                [
                    any(
                        ends[-1][b] and sizes[b] - sizes[a] <= limit
                        for b in range(a + 1, count + 1)
                    )
                    for a in range(count + 1)
                ]
            )
        edges = [0]
        for left in range(self.blocks - 1, -1, -1):
            a = edges[-1]
            choices = [
                b for b in range(a + 1, count + 1) if ends[left][b] and sizes[b] - sizes[a] <= limit
            ]
            if random is None:
                even = sizes[a] + (sizes[-1] - sizes[a]) / (left + 1)
                edges.append(min(choices, key=lambda b: abs(sizes[b] - even)))
            else:
                edges.append(int(random.choice(choices)))
        return tuple(edges)

    def improved(
        self, bounds: list[Places], groups: list[Places]
    ) -> tuple[float, list[Places], list[Places]]:
        """Moves and deals until nothing helps."""
        value = self.value(bounds, groups)
        while True:
            before = value
            for model in range(len(bounds)):
                for boundary in range(1, self.blocks):
                    for step in (-1, 1):
                        edges = list(bounds[model])
                        edges[boundary] += step
                        if not self.allowed(model, edges):
                            continue
                        moved = [*bounds]
                        moved[model] = tuple(edges)
                        found = self.value(moved, groups)
                        if found > value + 1e-9:
                            bounds, value = moved, found
            dealt = self.dealt(bounds, groups)
            found = self.value(bounds, dealt)
            if found > value + 1e-9:
                groups, value = dealt, found
            if value <= before + 1e-9:
                return value, bounds, groups

    def dealt(self, bounds: list[Places], groups: list[Places]) -> list[Places]:
        """Every model's blocks dealt to the sets with the most similar anchors, one to each."""
        anchors = self.anchors(bounds, groups)
        starts, ends = self._ends(bounds)
        chosen = [model * self.blocks + stage for model, stage in anchors]
        similar = self._similar(starts, ends, chosen)
        found = []
        for model in range(len(bounds)):
            rows = similar[model * self.blocks : (model + 1) * self.blocks]
            _, columns = linear_sum_assignment(rows, maximize=True)
            found.append(tuple(map(int, columns)))
        return found

    def value(self, bounds: list[Places], groups: list[Places]) -> float:
        """The sum of all blocks' similarity to the anchor of their set."""
        return sum(float(sums.max()) for sums in self._sums(bounds, groups))

    def anchors(self, bounds: list[Places], groups: list[Places]) -> list[tuple[int, int]]:
        """Of every set the block of the greatest summed similarity, as model and stage."""
        return [
            (model, groups[model].index(number))
            for number, sums in enumerate(self._sums(bounds, groups))
            for model in [int(sums.argmax())]
        ]

    def _sums(self, bounds: list[Places], groups: list[Places]) -> list[Array]:
        """Of every set, how similar each model's block in it is to all of the set."""
        starts, ends = self._ends(bounds)
        found = []
        for number in range(self.blocks):
            rows = [m * self.blocks + dealt.index(number) for m, dealt in enumerate(groups)]
            first, last = starts[rows], ends[rows]
            found.append(
                (self._points[np.ix_(first, first)] + self._points[np.ix_(last, last)]).sum(axis=1)
            )
        return found

    def _ends(self, bounds: list[Places]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where all blocks start and end, as cut points."""
        pairs = zip(self._offsets, bounds, strict=True)
        places = [(offset + np.asarray(edges)) for offset, edges in pairs]
        return np.concatenate([p[:-1] for p in places]), np.concatenate([p[1:] for p in places])

    def _similar(
        self, starts: NDArray[np.int64], ends: NDArray[np.int64], chosen: Sequence[int]
    ) -> Array:
        found: Array = (
            self._points[np.ix_(starts, starts[chosen])] + self._points[np.ix_(ends, ends[chosen])]
        )
        return found
