"""Recipes and plans between their messages and the slicing domain."""

from __future__ import annotations

import json

import pytest
from sliceandpack.slicer.v1 import plans_pb2 as pb

from slicer_svc.convert.plans import decode_recipe, encode_recipe, recipe_violations
from slicer_svc.slicing.recipe import Adaptation, Criterion, Method, Recipe

RECIPES = [
    Recipe(beta=0.25, steps=3, seed=7, views=2),
    Recipe(budget_params=0.3),
    Recipe(method=Method.RATE, budget_macs=0.4),
    Recipe(method=Method.THRESHOLD, beta=0.1),
    Recipe(method=Method.THRESHOLD_PLAIN, beta=0.1),
    Recipe(budget_bytes=0.3, block=16),
    Recipe(budget_latency=0.3, block=1),
    Recipe(budget_latency_ms=2.5),
    Recipe(budget_macs=0.3, predict_latency=True),
    *(Recipe(beta=0.5, criterion=criterion) for criterion in Criterion),
    *(Recipe(beta=0.5, adaptation=adaptation) for adaptation in Adaptation),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_survives_its_message_and_its_json(recipe: Recipe) -> None:
    assert decode_recipe(encode_recipe(recipe)) == recipe
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_an_empty_recipe_is_closed_form_with_half_of_the_units() -> None:
    assert decode_recipe(pb.Recipe()) == Recipe()
    shown = encode_recipe(Recipe())
    assert (shown.method, shown.beta) == (pb.METHOD_CLOSED_FORM, 0.5)


def test_no_steps_at_all_are_a_wish_not_a_gap() -> None:
    recipe = pb.Recipe(steps=0)
    assert not list(recipe_violations(recipe))
    assert decode_recipe(recipe).steps == 0


def test_every_recipe_that_breaks_no_rule_is_one_of_the_domain() -> None:
    for method in pb.Method.values():
        for size in pb.Recipe.DESCRIPTOR.oneofs_by_name["size"].fields:
            for share in (1e-9, 0.5, 1.0):
                recipe = pb.Recipe(method=method, steps=10_000, views=64, seed=2**63 - 1)
                setattr(recipe, size.name, share)
                if not list(recipe_violations(recipe)):
                    decode_recipe(recipe)


def test_every_comparison_that_breaks_no_rule_is_one_of_the_domain() -> None:
    for method in pb.Method.values():
        for criterion in pb.Criterion.values():
            for adaptation in pb.Adaptation.values():
                recipe = pb.Recipe(method=method, criterion=criterion, adaptation=adaptation)
                if not list(recipe_violations(recipe)):
                    decode_recipe(recipe)


def test_the_papers_methods_take_no_other_criterion() -> None:
    recipe = pb.Recipe(
        method=pb.METHOD_RATE,
        criterion=pb.CRITERION_RANDOM,
        adaptation=pb.ADAPTATION_NONE,
    )
    broken = [violation.field for violation in recipe_violations(recipe)]
    assert broken == ["plan.recipe.criterion", "plan.recipe.adaptation"]
