"""The figures of all levers: a document, and a table in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.ablations.cells import Cell
from benchmarks.ablations.levers import DEFAULT, LEVERS
from benchmarks.ablations.variant import Variant
from benchmarks.paper.statistics import Correct, accuracy, paired_difference


@dataclass(frozen=True, eq=False)
class Found:
    """What was measured.

    Attributes:
        ensemble: By seed, the right answers of the full originals' ensemble.
        cells: By variant and budget, one cell by seed and draw; the default under `DEFAULT`. A
            variant that cannot reach a budget has none there.
    """

    ensemble: Sequence[Correct]
    cells: Mapping[tuple[str, str], Sequence[Sequence[Cell]]]


def document(found: Found, levers: Sequence[str], budgets: Sequence[str]) -> dict[str, Any]:
    """All figures; accuracies, shares and differences are fractions.

    Args:
        found: What was measured.
        levers: Names of the levers that were tried.
        budgets: Names of the budgets.
    """
    default = {budget: _default(found, budget) for budget in budgets}
    tried = []
    for name in levers:
        lever = LEVERS[name]
        variants = {
            variant: {
                "settings": settings.changes(),
                "budgets": {budget: _figures(found, variant, budget) for budget in budgets},
            }
            for variant, settings in lever.variants.items()
        }
        tried.append({"lever": name, "question": lever.question, "variants": variants})
    return {"settings": Variant().to_json(), "default": default, "levers": tried}


def _default(found: Found, budget: str) -> dict[str, Any]:
    cells = found.cells[DEFAULT, budget]
    return _sizes(cells) | _against(cells, "ensemble", found.ensemble)


def _figures(found: Found, variant: str, budget: str) -> dict[str, Any] | None:
    cells = found.cells.get((variant, budget))
    if cells is None:
        return None
    default = [correct(draws) for draws in found.cells[DEFAULT, budget]]
    return (
        _sizes(cells)
        | _against(cells, "default", default)
        | _against(cells, "ensemble", found.ensemble)
    )


def _sizes(cells: Sequence[Sequence[Cell]]) -> dict[str, Any]:
    every = [cell for draws in cells for cell in draws]
    return {
        "accuracy": statistics.fmean(accuracy(correct(draws)) for draws in cells),
        "macs_share": statistics.fmean(cell.macs_share for cell in every),
        "parameter_share": statistics.fmean(cell.parameter_share for cell in every),
    }


def _against(
    cells: Sequence[Sequence[Cell]], name: str, theirs: Sequence[Correct]
) -> dict[str, Any]:
    gap = paired_difference([correct(draws) for draws in cells], theirs)
    by_seed = [
        [accuracy(_one(ours, draw)) - accuracy(_one(other, draw)) for draw in range(len(draws))]
        for draws, ours, other in zip(cells, map(correct, cells), theirs, strict=True)
    ]
    return {
        f"{name}_difference": gap.mean,
        f"{name}_difference_ci95": [gap.low, gap.high],
        f"{name}_difference_by_seed_and_draw": by_seed,
    }


def _one(of: Correct, draw: int) -> Correct:
    return [part[draw : draw + 1] for part in of]


def correct(draws: Sequence[Cell]) -> Correct:
    """By target, the right answers of all draws of a seed `(draws, n)`."""
    return [np.stack(rows) for rows in zip(*(one.right for one in draws), strict=True)]


def table(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines of Markdown: each variant's difference to the default at each budget, in points."""
    budgets = list(found["default"])
    yield f"| lever | variant | {' | '.join(budgets)} |"
    yield "| --- | --- |" + " --- |" * len(budgets)
    shown = [_points(found["default"][budget], "ensemble") for budget in budgets]
    yield f"| | default, against the ensemble | {' | '.join(shown)} |"
    for lever in found["levers"]:
        for name, variant in lever["variants"].items():
            figures = [variant["budgets"][budget] for budget in budgets]
            shown = ["not reached" if one is None else _points(one, "default") for one in figures]
            yield f"| {lever['lever']} | {name} | {' | '.join(shown)} |"


def _points(figures: Mapping[str, Any], other: str) -> str:
    low, high = figures[f"{other}_difference_ci95"]
    mean = figures[f"{other}_difference"]
    return f"{100 * mean:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"
