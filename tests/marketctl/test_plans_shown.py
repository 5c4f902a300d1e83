"""What is said of a plan and its recipe."""

from __future__ import annotations

from sliceandpack.slicer.v1.plans_pb2 import OtherSamples, Plan, Recipe

from marketctl.plans import recipe_text, samples_text
from marketctl.recipe import RecipeOptions


def test_a_plan_tells_how_many_samples_of_how_many_other_models_it_reads() -> None:
    one, two = ["models/a"], ["models/a", "models/b"]
    assert samples_text(Plan()) == "the model's own"
    told = [
        samples_text(Plan(other_samples=OtherSamples(models=models, sample_count=96)))
        for models in (one, two)
    ]
    assert told == [
        "the model's own, and 96 of 1 other model without their labels",
        "the model's own, and 96 of 2 other models without their labels",
    ]


def test_other_models_are_left_aside_where_that_is_asked_for() -> None:
    recipe = RecipeOptions(own_samples_only=True).recipe()
    assert recipe == Recipe(own_samples_only=True)
    assert recipe_text(recipe).endswith("own samples only, seed 0")
    assert not RecipeOptions().recipe().own_samples_only
