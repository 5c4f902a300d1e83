"""Pictures of things that differ by more than brightness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from specification.labelling import Labelling
from specification.making import make
from specification.model import Specification
from svckit.input_spec import FLOAT32, Image, InputSpec

Pixels = NDArray[np.float32]
PATTERNS = ("rows", "columns", "discs", "reds", "blues", "noise")
FEW = 12


def input_of(side: int = 32) -> InputSpec:
    """Pictures of three channels from 0 to 1."""
    return InputSpec("image", (3, side, side), FLOAT32, Image(False, 0.0, 1.0))


def drawn(pattern: str, count: int, seed: int, side: int = 32) -> Pixels:
    """Pictures of one thing `(count, 3, side, side)`."""
    random = np.random.default_rng((seed, PATTERNS.index(pattern)))
    found = 0.4 + 0.05 * random.normal(size=(count, 3, side, side))
    rows, columns = np.indices((side, side)) / side
    for place in range(count):
        phase, wave = random.uniform(0, 2 * np.pi), random.uniform(3, 6)
        across, down = random.uniform(0.3, 0.7, 2)
        disc = (rows - down) ** 2 + (columns - across) ** 2 < 0.06
        match pattern:
            case "rows":
                found[place] += 0.3 * np.sin(2 * np.pi * wave * rows + phase)
            case "columns":
                found[place] += 0.3 * np.sin(2 * np.pi * wave * columns + phase)
            case "discs":
                found[place] += 0.4 * disc
            case "reds":
                found[place, 0] += 0.4 * disc
            case "blues":
                found[place, 2] += 0.4 * disc
    return np.clip(found, 0, 1).astype(np.float32)


def specified(
    patterns: tuple[str, ...],
    seed: int,
    *,
    count: int = FEW,
    model: bool = True,
    labelled: bool = True,
) -> Specification:
    """The specification of a model, or of a user's task, of some patterns."""
    samples = np.concatenate([drawn(pattern, count, seed) for pattern in patterns])
    labels = np.repeat(np.arange(len(patterns)), count)
    outputs = None
    if model:
        outputs = 0.9 * np.eye(len(patterns))[labels] + 0.1 / len(patterns)
    known = Labelling(patterns, labels, outputs) if labelled else None
    return make({"image": samples}, [input_of()], known, seed=seed)
