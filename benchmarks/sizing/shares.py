"""Ways to share a pack's budget: one share for all, sizes planned together, and trunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sliceandpack.slicer.v1.plans_pb2 import FrontPoint

from benchmarks.paper.sizes import ensemble_size
from benchmarks.paper.tasks import Classes, Source
from benchmarks.sizing.market import TASK, Market
from packer_svc.sizing import SIZES, BudgetKind, Front, Order

FINE = tuple(1.02**-place for place in range(250))
"""Shares among which the largest common one is looked for: nothing is left unspent."""


@dataclass(frozen=True)
class Branch:
    """What a pack takes from an origin at one size.

    Attributes:
        sources: Its classes, which are cut together.
        size: Its share of the origin.
    """

    sources: tuple[Source, ...]
    size: float


def order_of(market: Market, target: Classes, kind: BudgetKind, value: float) -> Order:
    """The size that is asked of a target's pack, as the packer asks for it."""
    sources = TASK.sources(target)
    used = [market.originals[place] for place in dict.fromkeys(one.origin for one in sources)]
    columns = sum(one.feature_width + len(one.recipe.classes) for one in used)
    whole = ensemble_size([one.size for one in used], columns, len(target))
    return Order(
        kind=kind,
        value=value,
        unit=float(whole.macs if kind is BudgetKind.MACS else whole.parameters),
        outputs=len(target),
    )


def trunks(market: Market, order: Order, sources: Sequence[Source]) -> list[Branch]:
    """The packer's way: the classes of an origin cut together, sizes planned together."""
    by_origin: dict[int, list[Source]] = {}
    for one in sources:
        by_origin.setdefault(one.origin, []).append(one)
    return _chosen(market, order, [tuple(some) for some in by_origin.values()])


def together(market: Market, order: Order, sources: Sequence[Source]) -> list[Branch]:
    """A fragment for each class, sizes planned together."""
    return _chosen(market, order, [(one,) for one in sources])


def alike(market: Market, order: Order, sources: Sequence[Source]) -> list[Branch]:
    """A fragment for each class, all of the largest share that they can have.

    Raises:
        ValueError: There is none.
    """
    fronts = _fronts(market, order, [(one,) for one in sources], FINE)
    # The first point is the smallest there is, whatever share that is.
    points = [{point.size: point for point in front.points[1:]} for front in fronts]
    fixed = order.outputs if order.kind is BudgetKind.PARAMETERS else 0
    for size in FINE:
        costs = [
            order.cost(known[size], front.scores)
            for known, front in zip(points, fronts, strict=True)
            if size in known
        ]
        if len(costs) == len(fronts) and sum(costs) + fixed <= order.limit:
            return [Branch((one,), size) for one in sources]
    raise ValueError(f"no common share meets {order.kind} {order.value}")


def _chosen(market: Market, order: Order, cuts: Sequence[tuple[Source, ...]]) -> list[Branch]:
    points = order.choose(_fronts(market, order, cuts, SIZES))
    return [Branch(cut, point.size) for cut, point in zip(cuts, points, strict=True)]


def _fronts(
    market: Market, order: Order, cuts: Sequence[tuple[Source, ...]], sizes: Sequence[float]
) -> list[Front]:
    origins = [cut[0].origin for cut in cuts]
    points: Mapping[int, list[FrontPoint]] = {
        place: market.front(place, order.kind, sizes) for place in sorted(set(origins))
    }
    return [
        Front(points[origin], len(market.originals[origin].recipe.classes), len(cut))
        for origin, cut in zip(origins, cuts, strict=True)
    ]
