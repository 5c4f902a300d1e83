"""Two ways to share a pack's budget: sizes planned together, and one share for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sliceandpack.slicer.v1.plans_pb2 import FrontPoint

from benchmarks.paper.sizes import ensemble_size
from benchmarks.paper.tasks import Classes, Source
from benchmarks.sizing.market import TASK, Market
from packer_svc.sizing import SIZES, BudgetKind, Order

FINE = tuple(1.02**-place for place in range(250))
"""Shares among which the largest common one is looked for: nothing is left unspent."""


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
        score_widths=tuple(len(market.originals[one.origin].recipe.classes) for one in sources),
    )


def together(market: Market, order: Order, sources: Sequence[Source]) -> list[float]:
    """Sizes planned together, by fragment."""
    fronts = _fronts(market, order, sources, SIZES)
    return [point.size for point in order.choose([fronts[one.origin] for one in sources])]


def alike(market: Market, order: Order, sources: Sequence[Source]) -> list[float]:
    """The largest share that all fragments can have, by fragment.

    Raises:
        ValueError: There is none.
    """
    fronts = _fronts(market, order, sources, FINE)
    points = {place: {point.size: point for point in front[1:]} for place, front in fronts.items()}
    fixed = order.outputs if order.kind is BudgetKind.PARAMETERS else 0
    for size in FINE:
        chosen = [points[one.origin].get(size) for one in sources]
        costs = [
            order.cost(point, scores)
            for point, scores in zip(chosen, order.score_widths, strict=True)
            if point is not None
        ]
        if len(costs) == len(chosen) and sum(costs) + fixed <= order.limit:
            return [size] * len(sources)
    raise ValueError(f"no common share meets {order.kind} {order.value}")


def _fronts(
    market: Market, order: Order, sources: Sequence[Source], sizes: Sequence[float]
) -> Mapping[int, list[FrontPoint]]:
    places = {one.origin for one in sources}
    return {place: market.front(place, order.kind, sizes) for place in sorted(places)}
