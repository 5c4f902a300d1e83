"""How sure, and how often right."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from packer_svc.report.figures import plural, share, small, wilson
from packer_svc.report.plots.squares import across, square, up

LEAST, MOST = 3.5, 15.0
"""Radii of the dots of the fewest and the most samples."""


def reliability_plot(bins: Sequence[Mapping[str, Any]], error: float) -> str:
    """Mean confidence against accuracy, one dot a bin.

    Args:
        bins: As `heads.reliability.Bin` in JSON.
        error: The expected calibration error.
    """
    most = max(one["samples"] for one in bins)
    drawn = "".join(_dot(one, most) for one in bins)
    told = ", ".join(
        f"confidence {share(one['confidence'])} right {share(one['accuracy'])} of "
        f"{plural(one['samples'], 'sample')}"
        for one in bins
    )
    return square(
        "Reliability",
        f"expected calibration error {small(error)}; {told}",
        ("mean confidence", "share of right answers, %"),
        drawn,
    )


def _dot(one: Mapping[str, Any], most: int) -> str:
    low, high = wilson(one["accuracy"] * one["samples"], one["samples"])
    x, y = across(one["confidence"]), up(one["accuracy"])
    radius = max(LEAST, MOST * math.sqrt(one["samples"] / most))
    return (
        f'<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{up(low):.1f}" y2="{up(high):.1f}"/>'
        f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'
    )
