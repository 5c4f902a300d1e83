"""A size to order: what a pack may cost, and what each of its fragments may cost then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1.plans_pb2 import FrontPoint

from packer_svc.fusion.allocation import Choice, allocate, least_cost
from packer_svc.recipe import Ingredient, ensemble_size, labels_of
from packer_svc.store.failures import budget_unreachable

_STEP = 1.1
"""From one size of a fragment to the next: what is left unspent is less than a tenth of one."""

SIZES = tuple(_STEP**-place for place in range(65))
"""Shares of its model that a fragment may have, 1 to 0.002. The same for all packs, so that packs
find the fragments that others ordered."""


_CONVERSION = 16
"""Parameters that may stand in front of a fragment whose pictures are not the pack's: factors and
offsets of its channels."""


class BudgetKind(StrEnum):
    """What is bought; as in the contract's `PackBudget`."""

    PARAMETERS = "parameters"
    MACS = "macs"
    LATENCY_MS = "latency_ms"

    @property
    def recipe_size(self) -> str:
        """By which size of a recipe a fragment's share is asked for."""
        sizes = {
            BudgetKind.PARAMETERS: "budget_parameters",
            BudgetKind.MACS: "budget_macs",
            BudgetKind.LATENCY_MS: "budget_latency",
        }
        return sizes[self]


@dataclass(frozen=True)
class Order:
    """The size that is asked of a pack.

    Attributes:
        kind: What is bought.
        value: What was asked for: a share of the full originals, or milliseconds.
        unit: What one of that value is: the full originals' parameters or MACs, or a millisecond.
        outputs: Outputs of the pack.
        score_widths: By fragment the classes of its model, whose scores its head may read.
        spare: Parameters that are left for what brings the pack's inputs to those of fragments.
    """

    kind: BudgetKind
    value: float
    unit: float
    outputs: int
    score_widths: tuple[int, ...]
    spare: int = 0

    @classmethod
    def of(cls, options: pb.PackOptions, ingredients: Sequence[Ingredient]) -> Self:
        """Returns what a checked budget asks for.

        Args:
            options: The pack's, with its budget.
            ingredients: The fragments that say which classes of which models are wanted.
        """
        budget = options.budget
        kind = BudgetKind(str(budget.WhichOneof("size")))
        whole = ensemble_size(ingredients)
        return cls(
            kind=kind,
            value=getattr(budget, kind.value),
            unit=1.0 if kind is BudgetKind.LATENCY_MS else float(whole[kind.value]),
            outputs=len(labels_of(ingredients)),
            score_widths=tuple(one.origin.model.classes for one in ingredients),
            spare=_CONVERSION * len(ingredients) if _is_converted(options, ingredients) else 0,
        )

    @property
    def limit(self) -> float:
        """The parameters, MACs or milliseconds that the whole pack may have."""
        return self.value * self.unit

    def choose(self, fronts: Sequence[Sequence[FrontPoint]]) -> list[FrontPoint]:
        """Chooses a size for every fragment, all together within the limit.

        Args:
            fronts: By fragment what its sizes would come to.

        Raises:
            InvalidArgument: BUDGET_UNREACHABLE.
        """
        choices = [
            [Choice(self.cost(point, scores), point.predicted_error) for point in front]
            for front, scores in zip(fronts, self.score_widths, strict=True)
        ]
        fixed = float(self.outputs + self.spare) if self.kind is BudgetKind.PARAMETERS else 0.0
        chosen = allocate(choices, self.limit - fixed)
        if chosen is None:
            least = (least_cost(choices) + fixed) / self.unit
            raise budget_unreachable(self.kind.value, self.value, least)
        return [front[place] for front, place in zip(fronts, chosen, strict=True)]

    def cost(self, point: FrontPoint, scores: int) -> float:
        """What a fragment adds to a pack: itself, and its part of the head at its largest.

        The head is one linear node, or two where that is smaller; it reads features and scores at
        most. A fragment's time is its own alone: the head's is a thousandth of it.
        """
        if self.kind is BudgetKind.LATENCY_MS:
            return point.latency_ms
        own = point.parameters if self.kind is BudgetKind.PARAMETERS else point.macs
        return float(own + (point.feature_width + scores) * self.outputs)

    def told(self, points: Sequence[FrontPoint], fragments: Sequence[str]) -> dict[str, Any]:
        """Returns what was asked for and what each fragment got, as plain JSON.

        Args:
            points: The sizes chosen.
            fragments: The names of the fragments sliced so.
        """
        shares = [
            {
                "fragment": fragment,
                "share": point.size,
                "parameters": point.parameters,
                "macs": point.macs,
                "predicted_error": point.predicted_error,
                **({"latency_ms": point.latency_ms} if point.latency_ms else {}),
            }
            for fragment, point in zip(fragments, points, strict=True)
        ]
        return {"asked": {"kind": self.kind.value, "value": self.value}, "shares": shares}

    @property
    def most(self) -> int | None:
        """The parameters or MACs that a finished pack may have; None for a budget of time."""
        return None if self.kind is BudgetKind.LATENCY_MS else math.floor(self.limit * (1 + 1e-12))


def _is_converted(options: pb.PackOptions, ingredients: Sequence[Ingredient]) -> bool:
    """Whether a pack is fed otherwise than some of its fragments."""
    first = ingredients[0].origin.inputs
    alike = all(one.origin.inputs == first for one in ingredients)
    return options.picture_form != pb.PICTURE_FORM_UNSPECIFIED or not alike
