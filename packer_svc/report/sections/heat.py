"""A confusion matrix as a table whose cells are coloured: plot and figures at once."""

from collections.abc import Sequence

from packer_svc.report.markup import escaped, named
from packer_svc.report.sections.evidence import Counts
from packer_svc.report.tables import scrolling

ROOMY = 12
"""Up to so many classes the cells are large."""

DEEP = 0.55
"""From such a share on the figure in a cell is white."""

PALEST = 0.12
"""Even one mistake among many is to be seen."""


def heat(counts: Counts, labels: Sequence[str], told: str) -> str:
    """A table of truths by answers.

    Args:
        counts: `counts[truth][answer]`.
        labels: The classes' labels.
        told: On what it was measured.
    """
    caption = f"{told}. Rows are the truth, columns the answer."
    heads = "".join(
        f'<th scope="col" title="{escaped(label)}"><span>{named(label)}</span></th>'
        for label in labels
    )
    rows = "\n".join(
        f'<tr><th scope="row" title="{escaped(labels[truth])}">{named(labels[truth])}</th>'
        f"{''.join(_cell(row, truth, answer) for answer in range(len(row)))}</tr>"
        for truth, row in enumerate(counts)
    )
    size = "heat" if len(labels) <= ROOMY else "heat dense"
    return scrolling(
        caption,
        f'<table class="{size}"><caption><span>{escaped(caption)}</span></caption>\n'
        f"<thead><tr><td></td>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>",
    )


def _cell(row: Sequence[int], truth: int, answer: int) -> str:
    count = row[answer]
    if not count:
        return '<td class="none"><span>0</span></td>'
    part = count / sum(row)
    kind = "hit" if truth == answer else "miss"
    deep = " deep" if part >= DEEP else ""
    depth = PALEST + (1 - PALEST) * part
    return f'<td class="{kind}{deep}" style="--depth:{depth:.2f}"><span>{count:,}</span></td>'
