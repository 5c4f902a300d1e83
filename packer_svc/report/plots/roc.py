"""A receiver operating characteristic."""

from collections.abc import Sequence

from packer_svc.report.figures import share
from packer_svc.report.plots.squares import across, square, up

MOST_POINTS = 400
"""More are not to be told apart in a picture."""


def roc_plot(false_positives: Sequence[float], true_positives: Sequence[float], auc: float) -> str:
    """True against false positives, the area below shaded. Positive is none of the classes.

    Args:
        false_positives: Rates in [0, 1] of samples of the pack's classes.
        true_positives: Rates in [0, 1] of other samples at the same thresholds.
        auc: The area under the curve.
    """
    points = _thinned(sorted(zip(false_positives, true_positives, strict=True)))
    places = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
    area = f"{across(0):.1f},{up(0):.1f} {places} {across(1):.1f},{up(0):.1f}"
    return square(
        "Receiver operating characteristic",
        f"area under the curve {auc:.3f}; {_read_off(points)}",
        ("own samples taken for none of these", "others recognised as such, %"),
        f'<polygon class="area" points="{area}"/><polyline class="curve" points="{places}"/>',
    )


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    step = -(-len(points) // MOST_POINTS)
    return [*points[:-1:step], *points[-1:]]


def _read_off(points: Sequence[tuple[float, float]]) -> str:
    told = []
    for rate in (0.01, 0.05, 0.1):
        reached = max((y for x, y in points if x <= rate), default=0.0)
        told.append(f"{share(reached)} of others at {share(rate)} of its own")
    return ", ".join(told)
