"""Which sibling layers to run as one, so that no batch loses much by it.

What is joined saves calls, which tells at a batch of 1, and finds less in the processor's cache,
which tells in large batches and in front, where values are large. So layers are joined from a depth
on, and the depth is the one whose largest loss over the batches is least.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxgraph.siblings.find import Layout, Siblings
from onnxgraph.siblings.seams import Place, is_entered, is_left
from packer_svc.fusion.layout.costs import BATCHES, Costs, Times

SINGLE = BATCHES[:1]

NEAR = 1.01
"""Times the least regret: what is nearer is noise, and then fewer siblings are joined."""

ENOUGH = 1.02
"""Times the best at a batch of 1: whoever loses no more there has no more siblings joined."""

Told = Callable[[int, Sequence[int]], Costs]
"""Takes a place among all siblings and batches, gives what they cost in these."""


@dataclass(frozen=True)
class Choice:
    """How siblings are laid out.

    Attributes:
        layouts: By their place.
        costs: Likewise what is known of them; large batches were timed only where they matter.
        regret: By batch, the time of the siblings over that of the best choice for this batch.
        apart: The same of siblings that all stay apart.
    """

    layouts: tuple[Layout, ...]
    costs: tuple[Costs, ...]
    regret: Times
    apart: Times


def choose(groups: Sequence[Siblings], places: Sequence[Place], told: Told) -> Choice:
    """Chooses by least regret.

    From the end on more and more siblings are joined, as long as a batch of 1 loses more than the
    others and more than it may; what stands further in front is timed at no other batch, for there
    it takes long.

    Args:
        groups: All siblings of a graph.
        places: Where they stand.
        told: What they cost; those without times stay apart.
    """
    costs = [told(at, SINGLE) for at in range(len(groups))]
    able = {at for at, one in enumerate(costs) if one.seconds}
    if not able:
        even = dict.fromkeys(BATCHES, 1.0)
        return Choice((Layout.SEPARATE,) * len(groups), tuple(costs), even, even)
    depths = sorted({places[at].depth for at in able}, reverse=True)
    tried, pack = [frozenset[int]()], _Pack(groups, places, costs)
    ends = [frozenset(at for at in able if places[at].depth >= depth) for depth in depths]
    least = min(pack.seconds(joined)[0] for joined in [*tried, *ends])
    regrets = _regrets(pack, tried, least)
    for depth in depths:
        if regrets[-1][0] <= max(ENOUGH, *regrets[-1][1:]):
            break
        for at in sorted(at for at in able if places[at].depth == depth):
            found = told(at, BATCHES)
            if found.seconds:
                costs[at] = found
            else:
                able.remove(at)
        tried.append(frozenset(at for at in able if places[at].depth >= depth))
        regrets = _regrets(pack, tried, least)
    worst = regrets.max(axis=1)
    best = int(np.argmax(worst <= NEAR * worst.min()))
    layouts = [
        best_joined(costs[at].seconds) if at in tried[best] else Layout.SEPARATE
        for at in range(len(groups))
    ]
    return Choice(tuple(layouts), tuple(costs), _by_batch(regrets[best]), _by_batch(regrets[0]))


def best_joined(seconds: Mapping[Layout, Times]) -> Layout:
    """Of the layouts that join siblings the one whose largest time over separate ones is least.

    Args:
        seconds: Of `Layout.SEPARATE` and at least one other.
    """
    apart = seconds[Layout.SEPARATE]

    def worst(layout: Layout) -> float:
        return max(seconds[layout][batch] / apart[batch] for batch in apart)

    return min((layout for layout in seconds if layout is not Layout.SEPARATE), key=worst)


@dataclass(frozen=True)
class _Pack:
    """All siblings of a pack; what is known of their costs grows."""

    groups: Sequence[Siblings]
    places: Sequence[Place]
    costs: Sequence[Costs]

    def seconds(self, joined: Collection[int]) -> npt.NDArray[np.float64]:
        """What all siblings take with some of them joined, by batch."""
        found = np.zeros(len(BATCHES))
        for at in range(len(self.groups)):
            found += self._of_one(at, joined)
        return found

    def _of_one(self, at: int, joined: Collection[int]) -> npt.NDArray[np.float64]:
        one = self.costs[at]
        if not one.seconds:
            return np.zeros(len(BATCHES))
        if at not in joined:
            return _array(one.seconds[Layout.SEPARATE])
        found = _array(one.seconds[best_joined(one.seconds)])
        if is_entered(self.places[at], self.groups[at], joined):
            found += _array(one.enter)
        if is_left(at, self.places, joined):
            found += _array(one.leave)
        return found


def _array(times: Times) -> npt.NDArray[np.float64]:
    """Seconds by batch; where nobody measured, a sample takes as long as a single one."""
    return np.array([times.get(batch, batch * times[1]) for batch in BATCHES])


def _regrets(pack: _Pack, tried: Sequence[frozenset[int]], least: float) -> npt.NDArray[np.float64]:
    """Of everything tried, by batch, its time over the least: at a batch of 1 of what might be."""
    seconds = np.array([pack.seconds(joined) for joined in tried])
    bests = seconds.min(axis=0)
    bests[0] = min(bests[0], least)
    found: npt.NDArray[np.float64] = np.divide(seconds, bests)
    return found


def _by_batch(ratios: npt.NDArray[np.float64]) -> Times:
    return {batch: round(float(ratio), 4) for batch, ratio in zip(BATCHES, ratios, strict=True)}
