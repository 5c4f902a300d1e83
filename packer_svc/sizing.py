"""A size to order: what a pack may cost, and what each of its branches may cost then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1.plans_pb2 import FrontPoint

from packer_svc.fusion.allocation import ROUNDING, Choice, allocate, least_cost
from packer_svc.recipe import Ingredient, ensemble_size, labels_of
from packer_svc.store.failures import budget_unreachable, latency_missed
from svckit.errors import InvalidArgument

_STEP = 1.1
"""From one size of a fragment to the next: what is left unspent is less than a tenth of one."""

SIZES = tuple(_STEP**-place for place in range(65))
"""Shares of its model that a fragment may have, 1 to 0.002. The same for all packs, so that packs
find the fragments that others ordered."""


_CONVERSION = 16
"""Parameters that may stand in front of a fragment whose pictures are not the pack's: factors and
offsets of its channels."""


TOLERANCE = 0.1
"""What a pack may take longer than its budget of time, as a share of it: measurements differ."""

ROUNDS = 3
"""How many packs are made at most until one keeps to a budget of time."""


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
class Front:
    """The sizes that one branch of a pack can have: all classes that it takes of a model alike.

    Attributes:
        points: What each size comes to.
        scores: The classes of the model, whose scores the pack's head may read.
        classes: Those that are cut together.
    """

    points: Sequence[FrontPoint]
    scores: int
    classes: int = 1


@dataclass(frozen=True)
class Tried:
    """A pack that took longer than its budget allows.

    Attributes:
        predicted: Its time as planned, in milliseconds.
        measured: Its time as measured.
    """

    predicted: float
    measured: float


class TooSlowError(Exception):
    """A pack takes longer than its budget allows; another one may not.

    Args:
        milliseconds: What it takes.
    """

    def __init__(self, milliseconds: float) -> None:
        super().__init__(f"the pack takes {milliseconds:.4g} ms")
        self.milliseconds = milliseconds


@dataclass(frozen=True)
class Order:
    """The size that is asked of a pack.

    Attributes:
        kind: What is bought.
        value: What was asked for: a share of the full originals, or milliseconds.
        unit: What one of that value is: the full originals' parameters or MACs, or a millisecond.
        outputs: Outputs of the pack.
        spare: Parameters that are left for what brings the pack's inputs to those of fragments.
        tried: Packs that were made for it and took too long, the last one last.
    """

    kind: BudgetKind
    value: float
    unit: float
    outputs: int
    spare: int = 0
    tried: tuple[Tried, ...] = ()

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
            spare=_CONVERSION * len(ingredients) if _is_converted(options, ingredients) else 0,
        )

    @property
    def limit(self) -> float:
        """The parameters, MACs or milliseconds that the whole pack may have, as predicted.

        Where packs took longer than was predicted, so much less is planned for.
        """
        asked = self.value * self.unit
        return asked * self.tried[-1].predicted / self.tried[-1].measured if self.tried else asked

    def choose(self, fronts: Sequence[Front]) -> list[FrontPoint]:
        """Chooses a size for every branch, all together within the limit.

        A branch costs what it costs once, and what its features lose is lost by each of its
        classes.

        Args:
            fronts: By branch the sizes that it can have.

        Raises:
            InvalidArgument: BUDGET_UNREACHABLE.
        """
        choices = [
            [
                Choice(self.cost(point, front.scores), front.classes * point.predicted_error)
                for point in front.points
            ]
            for front in fronts
        ]
        fixed = float(self.outputs + self.spare) if self.kind is BudgetKind.PARAMETERS else 0.0
        least = least_cost(choices)
        if self.tried and least >= self.tried[-1].predicted * (1 - ROUNDING):
            raise self._missed()
        # After a pack that was too slow the smallest one is worth a trial: it may be quick enough.
        limit = max(self.limit, least) if self.tried else self.limit
        chosen = allocate(choices, limit - fixed)
        if chosen is None:
            raise budget_unreachable(self.kind.value, self.value, (least + fixed) / self.unit)
        return [front.points[place] for front, place in zip(fronts, chosen, strict=True)]

    def cost(self, point: FrontPoint, scores: int) -> float:
        """What a branch adds to a pack: itself, and its part of the head at its largest.

        The head is one linear node, or two where that is smaller; it reads features and scores at
        most. A branch's time is its own alone: the head's is a thousandth of it.
        """
        if self.kind is BudgetKind.LATENCY_MS:
            return point.latency_ms
        own = point.parameters if self.kind is BudgetKind.PARAMETERS else point.macs
        return float(own + (point.feature_width + scores) * self.outputs)

    def told(
        self, points: Sequence[FrontPoint], fragments: Sequence[Sequence[str]]
    ) -> dict[str, Any]:
        """Returns what was asked for and what each branch got, as plain JSON.

        Args:
            points: The sizes chosen.
            fragments: By size the names of the fragments that share the graph sliced so.
        """
        shares = [
            {
                "fragments": list(names),
                "share": point.size,
                "parameters": point.parameters,
                "macs": point.macs,
                "predicted_error": point.predicted_error,
                **({"latency_ms": point.latency_ms} if point.latency_ms else {}),
            }
            for names, point in zip(fragments, points, strict=True)
        ]
        told = {"asked": {"kind": self.kind.value, "value": self.value}, "shares": shares}
        return told | ({"too_slow": [asdict(one) for one in self.tried]} if self.tried else {})

    def require(self, milliseconds: float) -> None:
        """Refuses a pack that takes longer than its budget allows.

        Args:
            milliseconds: What one sample takes on one thread, as measured.

        Raises:
            TooSlowError: It is beyond the budget by more than `TOLERANCE`.
        """
        if self.kind is BudgetKind.LATENCY_MS and milliseconds > self.value * (1 + TOLERANCE):
            raise TooSlowError(milliseconds)

    def after(self, points: Sequence[FrontPoint], slow: TooSlowError) -> Order:
        """Returns what is asked for after a pack that was too slow.

        Args:
            points: What it was planned as.
            slow: What it takes.

        Raises:
            InvalidArgument: BUDGET_UNREACHABLE, enough was tried.
        """
        tried = Tried(sum(point.latency_ms for point in points), slow.milliseconds)
        found = replace(self, tried=(*self.tried, tried))
        if len(found.tried) == ROUNDS:
            raise found._missed()
        return found

    def _missed(self) -> InvalidArgument:
        return latency_missed(self.value, [one.measured for one in self.tried])

    @property
    def most(self) -> int | None:
        """The parameters or MACs that a finished pack may have; None for a budget of time."""
        return None if self.kind is BudgetKind.LATENCY_MS else math.floor(self.limit * (1 + 1e-12))


def _is_converted(options: pb.PackOptions, ingredients: Sequence[Ingredient]) -> bool:
    """Whether a pack is fed otherwise than some of its fragments."""
    first = ingredients[0].origin.inputs
    alike = all(one.origin.inputs == first for one in ingredients)
    return options.picture_form != pb.PICTURE_FORM_UNSPECIFIED or not alike
