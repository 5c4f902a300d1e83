"""Plots of a share against a share, in a square."""

from packer_svc.report.markup import escaped

SIDE = 300.0
LEFT = 48.0
TOP = 20.0
RIGHT = 24.0
BELOW = 46.0
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def across(share: float) -> float:
    """Where a share is on the horizontal axis."""
    return LEFT + SIDE * share


def up(share: float) -> float:
    """Where a share is on the vertical axis."""
    return TOP + SIDE * (1 - share)


def square(title: str, description: str, axes: tuple[str, str], content: str) -> str:
    """A plot of a share against a share, with a diagonal.

    Args:
        title: What it shows, in a few words.
        description: What there is to see, for those who do not see it.
        axes: The titles of the horizontal and of the vertical axis.
        content: What is drawn, by `across` and `up`.
    """
    width, height = LEFT + SIDE + RIGHT, TOP + SIDE + BELOW
    grid = "".join(
        f'<line class="grid" x1="{across(one)}" x2="{across(one)}" y1="{up(0)}" y2="{up(1)}"/>'
        f'<line class="grid" x1="{across(0)}" x2="{across(1)}" y1="{up(one)}" y2="{up(one)}"/>'
        f'<text x="{across(one)}" y="{up(0) + 17}" text-anchor="middle">{100 * one:.0f} %</text>'
        f'<text x="{LEFT - 7}" y="{up(one) + 4}" text-anchor="end">{100 * one:.0f}</text>'
        for one in TICKS
    )
    horizontal, vertical = axes
    middle = up(0.5)
    return (
        f'<svg class="square" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escaped(title)}: {escaped(description)}">'
        f"{grid}"
        f'<line class="diagonal" x1="{across(0)}" y1="{up(0)}" x2="{across(1)}" y2="{up(1)}"/>'
        f"{content}"
        f'<text class="axis" x="{across(0.5)}" y="{height - 8}" text-anchor="middle">'
        f"{escaped(horizontal)}</text>"
        f'<text class="axis" x="12" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 12 {middle})">{escaped(vertical)}</text></svg>'
    )
