"""Which classes are taken for which, and how many of each are found."""

from collections.abc import Sequence

from packer_svc.report.figures import NOTHING, plural, share, wilson
from packer_svc.report.markup import beside, brief, escaped, figure, paragraph, subsection
from packer_svc.report.plots.grain import grain
from packer_svc.report.plots.strips import share_labels, share_strip
from packer_svc.report.sections.evidence import Counts, Evidence
from packer_svc.report.sections.heat import heat
from packer_svc.report.tables import Column, Kind, table

CELLS = 24
"""With more classes than these nobody reads a cell any more."""

NARROW = 6
"""The matrix of at most so many classes leaves room beside it."""

PAIRS = 15
FEW_PAIRS = 5
"""Of few classes the matrix shows them all."""

SHOWN = 24


def confusion(found: Evidence, labels: Sequence[str]) -> str:
    """The confusion of a pack's classes.

    Args:
        found: On what it was measured; its counts are there.
        labels: The pack's classes in their order.
    """
    counts = found.counts or ()
    told = f"{found.title}, {plural(found.samples, 'sample')}"
    return subsection(
        "Which classes are taken for which",
        _matrix(counts, labels, told),
    ) + subsection("Recall of every class", _recall(counts, labels, told))


def _matrix(counts: Counts, labels: Sequence[str], told: str) -> str:
    if len(labels) <= NARROW:
        return beside(heat(counts, labels, told), _pairs(counts, labels, FEW_PAIRS))
    drawn = heat if len(labels) <= CELLS else _large
    return drawn(counts, labels, told) + _pairs(counts, labels, PAIRS)


def _large(counts: Counts, labels: Sequence[str], told: str) -> str:
    picture, classes_a_cell = grain(counts)
    cells = (
        "Each cell is one class taken for one other"
        if classes_a_cell == 1
        else f"Each cell stands for {classes_a_cell} × {classes_a_cell} classes"
    )
    caption = (
        f"{told}. Rows are the truth, columns the answer, {len(labels):,} classes in the pack’s "
        f"order. {cells}; the darker, the larger the share of its row. Blue are right answers, "
        "orange wrong ones."
    )
    return figure(picture, escaped(caption))


def _pairs(counts: Counts, labels: Sequence[str], most: int) -> str:
    """The most frequent mistakes."""
    wrong = [
        (count, truth, answer)
        for truth, row in enumerate(counts)
        for answer, count in enumerate(row)
        if count and truth != answer
    ]
    if not wrong:
        return paragraph("No class was taken for another.")
    wrong.sort(key=lambda one: (-one[0], one[1], one[2]))
    rows = [
        (
            brief(labels[truth]),
            brief(labels[answer]),
            f"{count:,}",
            share(count / sum(counts[truth])),
        )
        for count, truth, answer in wrong[:most]
    ]
    columns = (
        Column("Truth"),
        Column("Taken for"),
        Column("Times", Kind.NUMBER),
        Column("Of its samples", Kind.NUMBER),
    )
    caption = f"The most frequent mistakes, {min(most, len(wrong)):,} of {len(wrong):,} kinds"
    return table(caption, columns, rows)


def _recall(counts: Counts, labels: Sequence[str], told: str) -> str:
    answered = [sum(column) for column in zip(*counts, strict=True)]
    order: Sequence[int] = range(len(labels))
    if len(labels) > CELLS:
        order = sorted(order, key=lambda place: _recall_of(counts, place))
    columns = (
        Column("Class"),
        Column("Samples", Kind.NUMBER),
        Column("Recall", Kind.NUMBER),
        Column("95 % interval", Kind.NUMBER),
        Column("", Kind.PLOT, share_labels()),
        Column("Precision", Kind.NUMBER),
    )
    rows = [_class_row(counts, answered, labels, place) for place in order]
    sorted_by = ", the worst first" if len(labels) > CELLS else ""
    note = (
        "Recall: the share of a class’s samples that are named so. Precision: the share of what "
        "is named so that is of the class."
    )
    return table(f"{told}{sorted_by}", columns, rows, most=SHOWN) + paragraph(note, "note")


def _recall_of(counts: Counts, place: int) -> float:
    total = sum(counts[place])
    return counts[place][place] / total if total else 1.0


def _class_row(
    counts: Counts, answered: Sequence[int], labels: Sequence[str], place: int
) -> tuple[str, ...]:
    total, right = sum(counts[place]), counts[place][place]
    precision = share(right / answered[place]) if answered[place] else NOTHING
    if not total:
        return (brief(labels[place]), "0", NOTHING, NOTHING, share_strip(None), precision)
    interval = wilson(right, total)
    return (
        brief(labels[place]),
        f"{total:,}",
        share(right / total),
        f"{share(interval[0])} to {share(interval[1])}",
        share_strip(right / total, interval),
        precision,
    )
