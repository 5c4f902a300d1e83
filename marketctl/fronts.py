"""The front of several plans of one model: what each costs, and what error is predicted for it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import typer
from sliceandpack.slicer.v1 import plans_pb2

from marketctl.columns import Column, ratio, small
from marketctl.plans import time_text

_LOGARITHMIC: Final = 20.0
"""From such a ratio of the largest to the smallest error on, a linear axis hides the small."""

_COLUMNS: Final = (
    Column("BUDGET", lambda plan: _asked(plan.recipe)),
    Column("PLAN", lambda plan: plan.name),
    Column("PARAMETERS", lambda plan: ratio(plan.parameters_after, plan.parameters_before), True),
    Column("MACS", lambda plan: ratio(plan.macs_after, plan.macs_before), True),
    Column("BYTES", lambda plan: ratio(plan.bytes_after, plan.bytes_before), True, spare=True),
    Column("ERROR²", lambda plan: small(plan.predicted_error), True),
)
_TIME: Final = Column("TIME", lambda plan: time_text(plan, brief=True), True)


@dataclass(frozen=True)
class _Axis:
    """What the costs of plans are drawn on.

    Attributes:
        title: What stands beside it.
        cost: The cost of a plan.
    """

    title: str
    cost: Callable[[plans_pb2.Plan], float]


_AXES: Final = {
    "budget_parameters": _Axis(
        "parameters kept, %", lambda plan: 100 * plan.parameters_after / plan.parameters_before
    ),
    "budget_macs": _Axis("MACs kept, %", lambda plan: 100 * plan.macs_after / plan.macs_before),
    "budget_bytes": _Axis(
        "bytes of weights kept, %", lambda plan: 100 * plan.bytes_after / plan.bytes_before
    ),
    "budget_latency": _Axis(
        "time of one sample kept, %",
        lambda plan: 100 * plan.latency.after_ms / plan.latency.before_ms,
    ),
    "budget_latency_ms": _Axis("time of one sample, ms", lambda plan: plan.latency.after_ms),
}


def columns_of(plans: Sequence[plans_pb2.Plan]) -> Sequence[Column]:
    """Returns what a table says of plans; of time only where they tell it."""
    if not any(plan.HasField("latency") for plan in plans):
        return _COLUMNS
    return (*_COLUMNS[:-1], _TIME, _COLUMNS[-1])


def check_drawable(path: Path, recipes: Sequence[plans_pb2.Recipe]) -> None:
    """Refuses a drawing that cannot be made, before anything is planned for it.

    Args:
        path: Where it is to go.
        recipes: What the plans are to reach.

    Raises:
        typer.BadParameter: There is only one plan, the file is no PNG in a folder that exists, or
            matplotlib is not installed.
    """
    if len(recipes) < 2:
        raise _refused("a front needs a budget of several values, such as 0.1,0.25,0.5")
    if path.suffix.lower() != ".png":
        raise _refused(f"{path} is no .png")
    if not path.parent.is_dir():
        raise _refused(f"there is no folder {path.parent}")
    if find_spec("matplotlib") is None:
        raise _refused("drawing needs matplotlib: pip install 'slice-and-pack[bench]'")


def draw_front(plans: Sequence[plans_pb2.Plan], path: Path) -> None:
    """Draws predicted error against cost as a PNG, in place of what the file held.

    Args:
        plans: Plans of one model for several values of one budget.
        path: The file.
    """
    # Only whoever draws needs it, and it takes its time to load.
    from matplotlib.figure import Figure

    axis = _AXES[_size(plans[0].recipe)]
    points = sorted((axis.cost(plan), plan.predicted_error) for plan in plans)
    costs, errors = zip(*points, strict=True)
    figure = Figure(figsize=(6.4, 4.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(costs, errors, marker="o", color="tab:blue")
    axes.margins(0.1)
    if min(errors) > 0 and max(errors) > _LOGARITHMIC * min(errors):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    for cost, error in points:
        axes.annotate(
            f"{cost:.3g}", (cost, error), textcoords="offset points", xytext=(4, 6), fontsize=8
        )
    axes.set_xlabel(axis.title)
    axes.set_ylabel("predicted error of the features, relative and squared")
    axes.set_title(plans[0].name.partition("/plans/")[0])
    axes.grid(visible=True, which="both", alpha=0.3)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    path.write_bytes(drawn.getvalue())


def _asked(recipe: plans_pb2.Recipe) -> str:
    """Returns the value of a recipe's budget as it was given."""
    size = _size(recipe)
    unit = " ms" if size == "budget_latency_ms" else ""
    return f"{getattr(recipe, size):g}{unit}"


def _size(recipe: plans_pb2.Recipe) -> str:
    return recipe.WhichOneof("size") or "beta"


def _refused(why: str) -> typer.BadParameter:
    return typer.BadParameter(why, param_hint="--front")
