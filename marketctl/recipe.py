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
    THRESHOLD_PLAIN = "threshold_plain"


class Criterion(StrEnum):
    """By what the closed form orders units."""

    SUBSET = "subset"
    SUBSET_IDENTITY = "subset_identity"
    RANDOM = "random"
    L1 = "l1"
    ACTIVATION_NORM = "activation_norm"
    POOLED_ACTIVATION_NORM = "pooled_activation_norm"
    CLASS_TAYLOR = "class_taylor"
    VARIANCE = "variance"
    LEGO = "lego"
    LEARNED_MASK = "learned_mask"
    CLASSIFIER_NORM = "classifier_norm"


class Adaptation(StrEnum):
    """How the closed form makes up for dropped units."""

    REFIT = "refit"
    REPAIR = "repair"
    NONE = "none"
    TRAINED = "trained"
    DISTIL = "distil"


Shares = list[str] | None
"""The values of a budget: the option may be repeated, and each may be several with commas."""


@dataclass(frozen=True)
class RecipeOptions:
    """What a plan is to reach."""

    method: Annotated[
        Method | None,
        typer.Option(help="closed_form if left out.", rich_help_panel=_PANEL),
    ] = None
    criterion: Annotated[
        Criterion | None,
        typer.Option(
            help="By what closed_form orders units; others than subset are for comparison.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    adaptation: Annotated[
        Adaptation | None,
        typer.Option(
            help="How closed_form makes up for what is dropped; others than refit are for "
            "comparison.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    beta: Annotated[
        float | None,
        typer.Option(
            help="Share of units that every group keeps, above 0, at most 1; 0.5.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    budget_params: Annotated[
        Shares,
        typer.Option(
            metavar="SHARE",
            help="Share of the parameters to keep instead, above 0, at most 1.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    budget_macs: Annotated[
        Shares,
        typer.Option(
            metavar="SHARE",
            help="Share of the MACs to keep instead, above 0, at most 1.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    budget_bytes: Annotated[
        Shares,
        typer.Option(
            metavar="SHARE",
            help="Share of the bytes of all weights to keep instead, above 0, at most 1.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    budget_latency: Annotated[
        Shares,
        typer.Option(
            metavar="SHARE",
            help="Share of the time to keep instead, above 0, at most 1, as measured on the "
            "slicer's machine for one sample on one thread.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    budget_latency_ms: Annotated[
        Shares,
        typer.Option(
            metavar="MS",
            help="The same time in milliseconds.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    block: Annotated[
        int | None,
        typer.Option(
            help="With a budget, keep multiples of so many units, or all of a layer; 1 is no "
            "block. If left out, what suits the slicer's machine.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    latency: Annotated[
        bool,
        typer.Option(
            "--latency", help="Predict the time, also under another budget.", rich_help_panel=_PANEL
        ),
    ] = False
    steps: Annotated[
        int | None,
        typer.Option(
            help="Gradient steps where one trains, 0 to 10000; 20.", rich_help_panel=_PANEL
        ),
    ] = None
    seed: Annotated[
        int | None, typer.Option(help="Of all that is random; 0.", rich_help_panel=_PANEL)
    ] = None
    views: Annotated[
        int | None,
        typer.Option(help="Augmented views of each sample, 1 to 64; 8.", rich_help_panel=_PANEL),
    ] = None

    own_samples_only: Annotated[
        bool,
        typer.Option(
            "--own-samples-only",
            help="Read no samples of other models in the market.",
            rich_help_panel=_PANEL,
        ),
    ] = False

    def recipe(self) -> plans_pb2.Recipe:
        """Returns the recipe; what is left out, the slicer fills in.

        Raises:
            typer.BadParameter: More than one size is given, or a budget has several values.
        """
        recipes = self.recipes()
        if len(recipes) > 1:
            raise typer.BadParameter("a budget takes one value here; `models plan` takes several")
        return recipes[0]

    def recipes(self) -> list[plans_pb2.Recipe]:
        """Returns a recipe for each value of the budget, or the only one.

        Raises:
            typer.BadParameter: More than one size is given, or a value is no number.
        """
        texts = {
            "budget_parameters": ("--budget-params", self.budget_params),
            "budget_macs": ("--budget-macs", self.budget_macs),
            "budget_bytes": ("--budget-bytes", self.budget_bytes),
            "budget_latency": ("--budget-latency", self.budget_latency),
            "budget_latency_ms": ("--budget-latency-ms", self.budget_latency_ms),
        }
        given = {name: _numbers(option, text) for name, (option, text) in texts.items() if text}
        if self.beta is not None:
            given["beta"] = [self.beta]
        if len(given) > 1:
            raise typer.BadParameter("give one of --beta and the budgets")
        if not given:
            return [self._without_size()]
        ((size, values),) = given.items()
        recipes = [self._without_size() for _ in values]
        for recipe, value in zip(recipes, values, strict=True):
            setattr(recipe, size, value)
        return recipes

    def _without_size(self) -> plans_pb2.Recipe:
        recipe = plans_pb2.Recipe(
            block=self.block,
            predict_latency=self.latency,
            seed=self.seed or 0,
            steps=self.steps,
            views=self.views,
            own_samples_only=self.own_samples_only,
        )
        if self.method is not None:
            recipe.method = plans_pb2.Method.Value(f"METHOD_{self.method.name}")
        if self.criterion is not None:
            recipe.criterion = plans_pb2.Criterion.Value(f"CRITERION_{self.criterion.name}")
        if self.adaptation is not None:
            recipe.adaptation = plans_pb2.Adaptation.Value(f"ADAPTATION_{self.adaptation.name}")
        return recipe


def _numbers(option: str, texts: list[str]) -> list[float]:
    """The different values of an option, in the order given."""
    parts = [part.strip() for text in texts for part in text.split(",")]
    try:
        return list(dict.fromkeys(float(part) for part in parts))
    except ValueError:
        raise typer.BadParameter(
            f"{', '.join(parts)!r} is no list of numbers", param_hint=option
        ) from None
