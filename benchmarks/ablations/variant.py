"""One way of slicing: the default with some of its choices made otherwise."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from slicer_svc.slicing.adaptations.refit import RIDGE
from slicer_svc.slicing.original import POSITIONS
from slicer_svc.slicing.recipe import Adaptation, Criterion
from slicer_svc.slicing.samples import UNLABELLED_WEIGHT

BLOCK = 16
"""Units are kept in multiples of this: the block of the issue's targets on every machine."""


class Extra(StrEnum):
    """Unlabelled pictures that units and repairs are fitted on beside the views."""

    NONE = "none"
    MARKET = "market"
    MIXED = "mixed"


@dataclass(frozen=True)
class Variant:
    """Settings of one way of slicing; as they stand here they are the library's own.

    Attributes:
        views: Views of every sample, the sample itself included.
        criterion: By what units are chosen.
        adaptation: What is done about dropped units; `trained` is no variant of this path.
        symmetric: Whether repairs are fitted on the original's activations, not on those of the
            network as already sliced.
        per_class: Whether every class has curves and a plan of its own.
        block: Units are kept in multiples of this.
        exponent: p of Σ error^p in the plan; None for the library's.
        curves_on_views: Whether features are compared on the views that repairs are fitted on, not
            on the samples alone.
        extra: Unlabelled pictures.
        extra_share: Their share of all weight.
        rank_share: Share of its MACs that every kernel keeps as k×k of r filters, then 1×1; the
            plan may spend accordingly more. 1 leaves kernels as they are.
        sweeps: How often all consumers are refitted from the front to the back.
        distil_rate: Adam's learning rate where the adaptation is `distil`.
        ridge: λ of the refit, as a share of the patches' mean energy.
        rectified: Whether the refit forgets errors that a rectifier hides.
        positions: Positions of a sample that are looked at, at most.
        residual_whole: Whether a width that several nodes add up to is left whole.
    """

    views: int = 8
    criterion: Criterion = Criterion.SUBSET
    adaptation: Adaptation = Adaptation.REFIT
    symmetric: bool = False
    per_class: bool = False
    block: int = BLOCK
    exponent: float | None = None
    curves_on_views: bool = False
    extra: Extra = Extra.MARKET
    extra_share: float = UNLABELLED_WEIGHT
    rank_share: float = 1.0
    sweeps: int = 1
    distil_rate: float = 1e-5
    ridge: float = RIDGE
    rectified: bool = True
    positions: int = POSITIONS
    residual_whole: bool = False

    def to_json(self) -> dict[str, Any]:
        """All settings as plain data."""
        return asdict(self)

    def changes(self) -> dict[str, Any]:
        """Those that are not the default's."""
        default = Variant()
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != getattr(default, field.name)
        }
