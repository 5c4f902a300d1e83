"""What distances say: how well a class of a model stands for one of a user's.

All constants were chosen on a market of its own (`benchmarks/market/search`), none of whose classes
is in the reported one.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from specification.model import Floats, Places, Specification

MARGIN: Final = 0.08
"""A class whose excess is this much above the least of the market has 1/e of its score."""
LEAST_SCORE: Final = 0.35
"""What scores less speaks for nothing: some other model's class is nearer by far."""
FITS: Final = 1.4
"""The largest excess of the same things: over 90 of 100 models stay under it on their own tasks."""
NEAR: Final = 0.15
"""A class also fits within this share of the squared distance to its model's nearest other class.
Where samples vary in few ways, as small grey digits do, chance alone often goes beyond `FITS`."""
RATHER_FITS: Final = 1.8
"""As `FITS`, for a class that is rather near as well. The more samples, the less is chance, and the
more shows of the points in their place and of small differences in how both were taken."""
RATHER_NEAR: Final = 0.4
"""As `NEAR`, for a class within `RATHER_FITS`."""
PROXY_POWER: Final = 0.25
"""How much of the proxy's opinion is in a score."""


def excess(squared: Floats, noise: Floats, other_noise: Floats) -> Floats:
    """How often larger squared distances are than chance makes them of samples of one class.

    Two sets of n and n′ samples of the same thing have a squared MMD of s/n + s′/n′ in the mean, s
    the spread of samples: 1 is what the same class has.

    Args:
        squared: Squared MMD `(c, K)`.
        noise: s/n of one's classes `(c,)`.
        other_noise: s′/n′ of the other's `(K,)`.
    """
    return np.asarray(squared / (noise[:, None] + other_noise[None]))


def near(squared: Floats, noise: Floats, other_noise: Floats, apart: Floats) -> NDArray[np.bool_]:
    """Whether classes are as near as those of the same things are.

    Args:
        squared: As for `excess`.
        noise: As for `excess`.
        other_noise: As for `excess`.
        apart: Squared distance of each of the other's classes to its model's nearest other one,
            `(K,)`, chance taken off.

    Returns:
        `(c, K)`.
    """
    chance = noise[:, None] + other_noise[None]
    beyond = squared - chance
    rather = (squared <= RATHER_FITS * chance) & (beyond <= RATHER_NEAR * apart[None])
    return np.asarray((squared <= FITS * chance) | (beyond <= NEAR * apart[None]) | rather)


def told(excess: float, *, near: bool) -> str:
    """Why a class is near or not, in one sentence.

    Args:
        excess: Its own.
        near: What `near` says of it.
    """
    if excess <= FITS:
        return f"{excess:.2f} times as far as chance alone makes it"
    # Rounded up, so that none is "1.40 times, over 1.4".
    above = f"{math.ceil(100 * excess) / 100:.2f} times as far as chance alone makes it"
    if near:
        return f"{above}, but far nearer than the model's other classes are to it"
    return f"{above}, over {FITS}"


def scores(excesses: Floats, opinions: Floats) -> Floats:
    """How much speaks for each class of the market, for each of the user's.

    Args:
        excesses: `(c, K)`, the columns classes of all models that are compared.
        opinions: The share of a user's class that the proxies give each class `(c, K)`.

    Returns:
        From 0 to 1; the nearest class of the market has 1 but for its proxy's opinion.
    """
    nearest = excesses.min(axis=1, keepdims=True)
    near = np.exp(-(excesses - nearest) / MARGIN)
    return np.where(near < LEAST_SCORE, 0.0, near * opinions**PROXY_POWER)


def opinions(query: Specification, logits: Floats, starts: Places) -> Floats:
    """What models' proxies say of a user's classes: mean probabilities `(c, K)`.

    Args:
        query: The user's.
        logits: What the proxies make of the user's points `(m, K)`, model by model.
        starts: Where the classes of each model begin `(models,)`.
    """
    counts = np.diff(starts, append=logits.shape[1])
    largest = np.maximum.reduceat(logits, starts, axis=1)
    said = np.exp(logits - np.repeat(largest, counts, axis=1))
    said /= np.repeat(np.add.reduceat(said, starts, axis=1), counts, axis=1)
    said *= query.weights[:, None]
    places = np.maximum(query.point_classes, 0)
    groups = max(1, len(query.labels))
    found = np.stack([said[places == place].sum(axis=0) for place in range(groups)])
    total = np.bincount(places, weights=query.weights, minlength=groups)
    return np.asarray(found / np.maximum(total, 1e-300)[:, None])
