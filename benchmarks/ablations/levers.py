"""The levers: what is asked of each, and the variants that answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.ablations.variant import Extra, Variant
from slicer_svc.slicing.recipe import Adaptation, Criterion

DEFAULT = "default"
"""What the variant without a change is called."""


@dataclass(frozen=True)
class Lever:
    """A choice of the default way of slicing.

    Attributes:
        question: What its variants answer.
        variants: By name, ways to choose otherwise.
    """

    question: str
    variants: Mapping[str, Variant]


LEVERS: Mapping[str, Lever] = {
    "views": Lever(
        "How many views of a sample?",
        {f"{views} views": Variant(views=views) for views in (1, 4, 16)},
    ),
    "metric": Lever(
        "Units in the consumer's metric, or blind to it, or at random?",
        {
            "identity metric": Variant(criterion=Criterion.SUBSET_IDENTITY),
            "random units": Variant(criterion=Criterion.RANDOM),
        },
    ),
    "input": Lever(
        "Is the refit's input what the sliced network computes, or the original?",
        {"symmetric": Variant(symmetric=True)},
    ),
    "adaptation": Lever(
        "Refit, 1×1 repair, or nothing?",
        {
            "repair only": Variant(adaptation=Adaptation.REPAIR),
            "no repair": Variant(adaptation=Adaptation.NONE),
        },
    ),
    "plan": Lever("One plan a model, or one a class?", {"plan per class": Variant(per_class=True)}),
    "block": Lever(
        "In which blocks are units kept?",
        {f"block {block}": Variant(block=block) for block in (1, 4, 8)},
    ),
    "exponent": Lever(
        "Which p in the plan's Σ error^p?",
        {f"p = {p:g}": Variant(exponent=p) for p in (0.5, 0.75, 1.0)},
    ),
    "curves": Lever(
        "Are features compared on the samples, or on the views too?",
        {"curves on views": Variant(curves_on_views=True)},
    ),
    "unlabelled": Lever(
        "Do unlabelled pictures help, samples of the other origins or mixed ones?",
        {
            "own samples alone": Variant(extra=Extra.NONE),
            "mixed pictures": Variant(extra=Extra.MIXED),
        },
    ),
    "low_rank": Lever(
        "Are k×k of r filters and 1×1 worth more than units, at equal MACs?",
        {f"rank for {share:.0%}": Variant(rank_share=share) for share in (0.8, 0.6)},
    ),
    "sweep": Lever("Does a second sweep help?", {"two sweeps": Variant(sweeps=2)}),
    "distil": Lever(
        "Does a short distillation at a small rate help?",
        {
            f"distilled at {rate:g}": Variant(adaptation=Adaptation.DISTIL, distil_rate=rate)
            for rate in (1e-6, 1e-5)
        },
    ),
    "ridge": Lever(
        "How strong is the refit's ridge?",
        {f"λ = {ridge:g}": Variant(ridge=ridge) for ridge in (1e-3, 3e-3, 3e-2)},
    ),
    "rectifier": Lever(
        "Does the refit forget errors that a rectifier hides?",
        {"all errors": Variant(rectified=False)},
    ),
    "positions": Lever("How many positions of a sample?", {"16 positions": Variant(positions=16)}),
    "residual": Lever(
        "Is the residual width cut too? (Networks that add; elsewhere nothing changes.)",
        {"residual width whole": Variant(residual_whole=True)},
    ),
}
