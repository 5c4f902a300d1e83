"""A confusion matrix of many classes, as a picture of its grain."""

from collections.abc import Sequence

from packer_svc.report.figures import share

MOST_CELLS = 100
"""Cells in a row; of more classes several share one."""

SHADES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""The least share of each depth but the palest."""

SIDE = 400.0
MARGIN = 46.0


def grain(counts: Sequence[Sequence[int]]) -> tuple[str, int]:
    """Draws a matrix, right answers in one colour and wrong ones in another.

    Args:
        counts: `counts[truth][answer]`.

    Returns:
        The picture, and how many classes each side of a cell stands for.
    """
    classes_a_cell = -(-len(counts) // MOST_CELLS)
    cells = _joined(counts, classes_a_cell)
    step = SIDE / len(cells)
    drawn: dict[tuple[str, int], list[str]] = {}
    for truth, row in enumerate(cells):
        total = sum(row)
        for answer, count in enumerate(row):
            if count:
                depth = sum(count / total >= least for least in SHADES)
                kind = "right" if truth == answer else "wrong"
                place = f"M{answer} {truth}h1v1h-1z"
                drawn.setdefault((kind, depth), []).append(place)
    paths = "".join(
        f'<path class="{kind}" fill-opacity="{(depth + 1) / (len(SHADES) + 1):.2f}" '
        f'd="{"".join(places)}"/>'
        for (kind, depth), places in sorted(drawn.items())
    )
    return _framed(paths, step, counts), classes_a_cell


def _joined(counts: Sequence[Sequence[int]], classes: int) -> list[list[int]]:
    """The matrix with rows and columns of neighbouring classes added up."""
    if classes == 1:
        return [list(row) for row in counts]
    size = -(-len(counts) // classes)
    cells = [[0] * size for _ in range(size)]
    for truth, row in enumerate(counts):
        for answer, count in enumerate(row):
            if count:
                cells[truth // classes][answer // classes] += count
    return cells


def _framed(paths: str, step: float, counts: Sequence[Sequence[int]]) -> str:
    right = sum(row[place] for place, row in enumerate(counts))
    total = sum(sum(row) for row in counts)
    last = len(counts)
    size = SIDE + MARGIN + 8
    ticks = "".join(
        f'<text x="{MARGIN + SIDE * at:.0f}" y="{MARGIN - 8}" text-anchor="{anchor}">{text:,}'
        f'</text><text x="{MARGIN - 6}" y="{MARGIN + SIDE * at + shift:.0f}" text-anchor="end">'
        f"{text:,}</text>"
        for at, anchor, shift, text in ((0, "start", 11, 1), (1, "end", -2, last))
    )
    return (
        f'<svg class="grain" viewBox="0 0 {size} {size}" role="img" aria-label="Confusion of '
        f"{last:,} classes: {share(right / total if total else None)} of {total:,} samples on the "
        f'diagonal; the most frequent mistakes are in the table below">{ticks}'
        f'<g transform="translate({MARGIN} {MARGIN}) scale({step:.4f})" '
        f'shape-rendering="crispEdges">{paths}</g>'
        f'<rect class="frame" x="{MARGIN}" y="{MARGIN}" width="{SIDE}" height="{SIDE}"/></svg>'
    )
