"""The options of a recipe: how much of a model is kept, and by which method."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer
from sliceandpack.slicer.v1 import plans_pb2

_PANEL = "Recipe"


class Method(StrEnum):
    """How a model is sliced."""

    CLOSED_FORM = "closed_form"
    RATE = "rate"
    THRESHOLD = "threshold"


@dataclass(frozen=True)
class RecipeOptions:
    """What a plan is to reach."""

    method: Annotated[
        Method | None,
        typer.Option(help="closed_form if left out.", rich_help_panel=_PANEL),
    ] = None
    beta: Annotated[
        float | None,
        typer.Option(
            help="Share of units that every group keeps, above 0, at most 1; 0.5.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    budget_params: Annotated[
        float | None,
        typer.Option(
            help="Share of the parameters to keep instead, above 0, at most 1.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    budget_macs: Annotated[
        float | None,
        typer.Option(
            help="Share of the MACs to keep instead, above 0, at most 1.", rich_help_panel=_PANEL
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(
            help="Gradient steps of rate and threshold, 0 to 10000; 20.", rich_help_panel=_PANEL
        ),
    ] = None
    seed: Annotated[
        int | None, typer.Option(help="Of all that is random; 0.", rich_help_panel=_PANEL)
    ] = None
    views: Annotated[
        int | None,
        typer.Option(help="Augmented views of each sample, 1 to 64; 8.", rich_help_panel=_PANEL),
    ] = None

    def recipe(self) -> plans_pb2.Recipe:
        """Returns the recipe; what is left out, the slicer fills in.

        Raises:
            typer.BadParameter: More than one size is given.
        """
        sizes = {
            "beta": self.beta,
            "budget_parameters": self.budget_params,
            "budget_macs": self.budget_macs,
        }
        given = {name: value for name, value in sizes.items() if value is not None}
        if len(given) > 1:
            raise typer.BadParameter("give one of --beta, --budget-params and --budget-macs")
        recipe = plans_pb2.Recipe(seed=self.seed or 0, steps=self.steps, views=self.views)
        if self.method is not None:
            recipe.method = plans_pb2.Method.Value(f"METHOD_{self.method.name}")
        for name, value in given.items():
            setattr(recipe, name, value)
        return recipe
