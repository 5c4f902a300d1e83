"""The paper's two rules for which units of a layer belong to a class (Eq. 5 and 6)."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_ndtr
from scipy.stats import truncnorm

_MEAN_BOUNDS = (-2.0, 3.0)
_LOG_SD_BOUNDS = (math.log(0.02), math.log(5.0))


def kept_count(units: int, share: float) -> int:
    """ceil(β·u), at least one unit; rounding errors of β·u do not add a unit."""
    return min(units, max(1, math.ceil(share * units - 1e-9)))


def select_by_rate(activation: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Eq. 6: the units with the largest mean |activation| on class c.

    Args:
        activation: Mean |activation| of every unit on class c, `(u,)`.
        count: Units to keep, 1 to u (`kept_count` gives the top β share).

    Returns:
        Kept units, sorted, int64 `(count,)`; ties go to the lower index.
    """
    return np.sort(np.argsort(-activation, kind="stable")[:count]).astype(np.int64)


def select_by_threshold(activation: NDArray[np.float64], beta: float) -> NDArray[np.int64]:
    """Eq. 5: the units with |X_j| > Φ(1 − β).

    Φ is the inverse distribution function of a normal distribution truncated to [0, 1], fitted to
    the layer's own activations as shares of their largest. Where those do not spread (one unit,
    all equal, all dead) there is no distribution to fit, and the rate β decides.

    Args:
        activation: Mean |activation| of every unit on class c, `(u,)`.
        beta: β in (0, 1].

    Returns:
        Kept units, sorted, int64; at least one.
    """
    shares = _shares(activation)
    if float(np.ptp(shares)) < 1e-9:
        return select_by_rate(activation, kept_count(len(activation), beta))
    mean, sd = fit_truncated_normal(shares)
    low, high = -mean / sd, (1.0 - mean) / sd
    threshold = float(truncnorm.ppf(1.0 - beta, low, high, loc=mean, scale=sd))
    return _above(activation, threshold)


def select_by_plain_threshold(activation: NDArray[np.float64], beta: float) -> NDArray[np.int64]:
    """Eq. 5 as the AAAI version prints it: the units with |X_j| > 1 − β.

    Activations have no unit and the paper names none: they are taken as shares of the layer's
    largest, as for the fitted threshold, so that 1 − β has the same meaning in every layer. A
    layer without any activation keeps one unit.

    Args:
        activation: Mean |activation| of every unit on class c, `(u,)`.
        beta: β in (0, 1].

    Returns:
        Kept units, sorted, int64; at least one.
    """
    return _above(activation, 1.0 - beta)


def _shares(activation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Activations as shares of the layer's largest."""
    peak = float(activation.max())
    return activation / peak if peak > 0 else np.zeros_like(activation)


def _above(activation: NDArray[np.float64], threshold: float) -> NDArray[np.int64]:
    above = np.flatnonzero(_shares(activation) > threshold).astype(np.int64)
    return above if len(above) else select_by_rate(activation, 1)


def fit_truncated_normal(shares: NDArray[np.float64]) -> tuple[float, float]:
    """Maximum-likelihood fit of a normal distribution truncated to [0, 1].

    The paper does not say how it fits: mean and standard deviation start at those of the data and
    stay within bounds that keep the likelihood finite.

    Args:
        shares: Values in [0, 1], `(u,)`, not all equal.

    Returns:
        Mean and standard deviation of the normal distribution before its truncation.
    """

    def loss(parameters: NDArray[np.float64]) -> float:
        mean, log_sd = parameters
        sd = math.exp(log_sd)
        squares = float(np.mean(((shares - mean) / sd) ** 2))
        mass = _log_mass(-mean / sd, (1.0 - mean) / sd)
        return float(squares / 2.0 + log_sd + mass)

    log_sd = float(np.clip(math.log(float(shares.std())), *_LOG_SD_BOUNDS))
    start = np.array([float(shares.mean()), log_sd])
    found = minimize(loss, start, method="L-BFGS-B", bounds=[_MEAN_BOUNDS, _LOG_SD_BOUNDS])
    return float(found.x[0]), math.exp(float(found.x[1]))


def _log_mass(low: float, high: float) -> float:
    """log(Φ(high) − Φ(low)) of the standard normal distribution, far into its tails."""
    if low > 0:
        low, high = -high, -low
    upper, lower = float(log_ndtr(high)), float(log_ndtr(low))
    return upper + math.log1p(-math.exp(lower - upper))
