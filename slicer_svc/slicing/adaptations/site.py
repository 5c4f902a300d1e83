"""The seam: what an adaptation is told of one consumer of cut units, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from slicer_svc.slicing.rectified import RectifiedRegression
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.ridge import Moments, Regression
from slicer_svc.slicing.workbench import Site


@dataclass(frozen=True, eq=False)
class CutSite:
    """One linear node that reads cut units, and what was measured at it.

    Attributes:
        site: Where the units stand.
        weight: The node's matrix in the original, float64 `(k, out)`.
        affine: Whether its bias may change.
        kept: Kept units by group, sorted.
        rows: Rows of the matrix that are left once the units are cut, sorted `(k′,)`.
        columns: Its columns that are left, sorted `(out′,)`.
        units: By group, moments of its kept units in the sliced network against all of its units
            in the original; empty unless `SiteAdaptation.reads_units`.
        kernel: Patches of kept places in the sliced network against the kept outputs, bias left
            out, in the original; None unless `SiteAdaptation.reads_patches`.
    """

    site: Site
    weight: NDArray[np.float64]
    affine: bool
    kept: Mapping[str, Units]
    rows: Units
    columns: Units
    units: Mapping[str, Moments]
    kernel: Regression | RectifiedRegression | None


@dataclass(frozen=True, eq=False)
class AdaptedSite:
    """What becomes of that node.

    Attributes:
        weight: Its matrix once cut, `(k′, out′)`.
        shift: What its bias grows by, `(out′,)`; None to leave it as it is.
        repairs: By group, R as `(u, u)`, columns of dropped units zero: what brings its units back.
    """

    weight: NDArray[np.float64]
    shift: NDArray[np.float64] | None
    repairs: Mapping[str, NDArray[np.float64]]


class SiteAdaptation(Protocol):
    """How one consumer of cut units is given its new matrix, without a gradient."""

    @property
    def reads_units(self) -> bool:
        """Whether `CutSite.units` is needed."""

    @property
    def reads_patches(self) -> bool:
        """Whether `CutSite.kernel` is needed."""

    @property
    def rectified(self) -> bool:
        """Whether `CutSite.kernel` forgets errors that a rectifier behind the node hides."""

    def adapt(self, cut: CutSite) -> AdaptedSite:
        """The node's new matrix, bias and repairs."""
