"""Standardised columns: what a head sees of its fragments."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.spec import HeadInputs

Array = npt.NDArray[np.float64]

DEAD_SPREAD = 1e-4
"""A column whose deviation is below this share of its largest magnitude is constant: in float32
only noise is left of it, which a division by its deviation would blow up."""

PRIOR_SAMPLES = 5.0
"""How many samples a block's mean variance counts as, beside the samples of a column."""


@dataclass(frozen=True)
class Standardisation:
    """(x − mean)·scale on concatenated columns; exact to fold into a linear layer.

    Attributes:
        mean: `(p,)` float64.
        scale: `(p,)` float64: 1/σ, over the root of its block's variance; 0 for a constant or dead
            column.
    """

    mean: Array
    scale: Array

    def apply(self, columns: Array) -> Array:
        """Returns the standardised columns `(n, p)`."""
        standardised: Array = (columns - self.mean) * self.scale
        return standardised


def blocks(features: Sequence[FragmentFeatures], inputs: HeadInputs) -> list[Array]:
    """The blocks `(n, width)` that a head of these `inputs` concatenates, by fragment, in float64.

    Within a fragment features come before class scores.
    """
    chosen: list[Array] = []
    for fragment in features:
        if inputs is not HeadInputs.SCORES:
            chosen.append(np.asarray(fragment.features, dtype=np.float64))
        if inputs is not HeadInputs.FEATURES:
            chosen.append(np.asarray(fragment.scores, dtype=np.float64))
    return chosen


def standardise_columns(parts: Sequence[Array]) -> Standardisation:
    """Each column centred and divided by its deviation, each block brought to a variance of one.

    A block is the features or the class scores of one fragment; a wide one (256 features against 3
    class scores) would otherwise drown a narrow one under an isotropic ridge. Of few samples a
    deviation is mostly luck, so variances are shrunk towards their block's mean variance, which
    counts as `PRIOR_SAMPLES` samples.
    """
    means, scales = [], []
    for part in parts:
        variance = part.var(axis=0)
        alive = np.sqrt(variance) > DEAD_SPREAD * np.abs(part).max(axis=0, initial=0.0)
        typical = float(variance[alive].mean()) if alive.any() else 1.0
        shrunk = (PRIOR_SAMPLES * typical + len(part) * variance) / (PRIOR_SAMPLES + len(part))
        total = float((variance / shrunk)[alive].sum()) if alive.any() else 1.0
        means.append(part.mean(axis=0))
        scales.append(np.where(alive, 1.0 / np.sqrt(shrunk * total), 0.0))
    return Standardisation(np.concatenate(means), np.concatenate(scales))


def standardise_blocks(parts: Sequence[Array]) -> Standardisation:
    """Each column centred, each block divided by one number: its root mean variance.

    Keeps the geometry within a fragment, which Eq. 12's squared error refers to.
    """
    means, scales = [], []
    for part in parts:
        variance = float(part.var(axis=0).mean())
        largest = float(np.abs(part).max(initial=0.0))
        alive = np.sqrt(variance) > DEAD_SPREAD * largest
        means.append(part.mean(axis=0))
        scales.append(np.full(part.shape[1], 1.0 / np.sqrt(variance) if alive else 0.0))
    return Standardisation(np.concatenate(means), np.concatenate(scales))
