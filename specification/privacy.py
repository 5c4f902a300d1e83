"""Specifications under differential privacy: made of noisy means alone.

Two sets of samples are neighbours where one sample was replaced by another of the same class; how
many samples each class has is no secret. The means of the classes, of samples shortened to the
clipping length, get Gaussian noise by the analytic mechanism (Balle and Wang, 2018); everything
else is made of those means.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import log_ndtr, ndtr

from specification.errors import invalid
from specification.kernel import WIDTH
from specification.labelling import Labelling
from specification.model import (
    VERSION,
    Floats,
    Places,
    Privacy,
    PrivacyRequest,
    Space,
    Specification,
)

CLIPPING: Final = 1.0
"""Times the square root of the space's dimensions: about as long as samples are."""
_TYPICAL_SPREAD: Final = float(1.0 - np.exp(-2.0 * WIDTH))
"""Of samples with a variance of 1 along every axis: the samples' own may not be told."""
_HALVINGS: Final = 200


def private(
    space: Space,
    raw: Floats,
    labels: Places,
    labelling: Labelling | None,
    seed: int,
    request: PrivacyRequest,
) -> Specification:
    """Makes a specification with noise.

    Args:
        space: Of pictures or text: tables would need a scale that tells nothing of the samples.
        raw: Points of the samples `(N, D)`.
        labels: `(N,)`, -1 where there are none.
        labelling: As `make` takes it.
        seed: Of the noise: who knows it and the samples' means knows the rest, so keep it secret.
        request: How much noise.

    Raises:
        SpecificationError: SPECIFICATION_INVALID, the request cannot be met.
    """
    if not 0 < request.epsilon <= 1e6 or not 0 < request.delta < 1:
        raise invalid("privacy", "ε is above 0 and at most a million, δ between 0 and 1")
    if "tensor" in space.kind:
        raise invalid("privacy", "tables have no fixed scale that noise could be measured against")
    clipping = CLIPPING * float(np.sqrt(space.dimensions))
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    short = raw * np.minimum(1.0, clipping / np.maximum(lengths, 1e-12))
    present, counts = np.unique(labels, return_counts=True)
    sensitivity = 2.0 * clipping / int(counts.min())
    deviation = sensitivity * noise_multiplier(request.epsilon, request.delta)
    random = np.random.default_rng(seed)
    means = np.stack([short[labels == label].mean(axis=0) for label in present])
    means = means + random.normal(scale=deviation, size=means.shape)
    means = means.astype(np.float32).astype(np.float64)
    known = labelling is not None
    # The classifier of the nearest mean, in the space's units.
    proxy = means.T / space.dimensions if known else np.zeros((space.dimensions, 0))
    bias = -(means**2).sum(axis=1) / (2 * space.dimensions) if known else np.zeros(0)
    return Specification(
        version=VERSION,
        space=space,
        seed=0,
        points=means,
        weights=counts / counts.sum(),
        point_classes=present.astype(np.int64),
        proxy=proxy.astype(np.float32).astype(np.float64),
        bias=bias.astype(np.float32).astype(np.float64),
        labels=labelling.names if labelling else (),
        class_samples=counts.astype(np.int64) if known else np.zeros(0, dtype=np.int64),
        samples=len(raw),
        offset=np.zeros(space.dimensions),
        scale=np.ones(space.dimensions),
        spreads=_TYPICAL_SPREAD + 2.0 * WIDTH * deviation**2 * counts.astype(np.float64),
        nearest=0.0,
        bound=0.0,
        privacy=Privacy(request.epsilon, request.delta, clipping, sensitivity, deviation),
    )


def noise_multiplier(epsilon: float, delta: float) -> float:
    """The least deviation of Gaussian noise, per sensitivity, that is (ε, δ)-private.

    Theorem 8 of Balle and Wang (2018): Φ(1/2σ − εσ) − e^ε Φ(−1/2σ − εσ) ≤ δ.
    """

    def leaks(sigma: float) -> float:
        first, second = 1 / (2 * sigma) - epsilon * sigma, -1 / (2 * sigma) - epsilon * sigma
        return float(ndtr(first) - np.exp(epsilon + log_ndtr(second)))

    low, high = 1e-9, 1.0
    while leaks(high) > delta:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if leaks(middle) > delta else (low, middle)
    return high
