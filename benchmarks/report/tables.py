"""The paper's tables with our runs below its rows, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.paper.result import BASELINE_NAMES
from benchmarks.paper.statistics import Difference
from benchmarks.report.documents import Runs
from benchmarks.report.published import TABLE_2, TABLE_5, Published

HEADER = (
    *("task", "network", "k", "method", "accuracy, %", "± over targets", "parameters", "MACs"),
    *("seeds × draws", "less the ensemble, points"),
)
NONE = "–"


def table_2(runs: Sequence[Runs]) -> str:
    """Pictures."""
    return _table("Table 2: pictures", TABLE_2, runs)


def table_5(runs: Sequence[Runs]) -> str:
    """Text, word embeddings not counted."""
    return _table("Table 5: text, word embeddings not counted", TABLE_5, runs)


def differences(runs: Sequence[Runs]) -> str:
    """Every run less every baseline on the same samples and test examples."""
    header = ("run", *(f"less {name}" for name in BASELINE_NAMES))
    rows = []
    for one in runs:
        gaps = one.differences()
        label = f"{one['task']} {one['arch']} k={one['k']} {label_of(one)}"
        rows.append((label, *(_gap(gaps.get(name)) for name in BASELINE_NAMES)))
    title = (
        "## Paired differences in points of accuracy, 95 % intervals over seeds, draws, examples"
    )
    return "\n".join([title, "", *_lines(header, rows)]) + "\n"


def label_of(runs: Runs) -> str:
    """What a run is called in tables and legends: method, size, and what is not the default."""
    parts = [str(runs["method"])]
    parts += [str(runs[key]) for key, plain in _DEFAULTS if runs[key] not in (plain, parts[0])]
    parts += ["alone"] if runs["alone"] else []
    if runs["block"] is not None:
        parts.append(f"block {runs['block']}")
    return f"{' '.join(parts)} {runs['budget']} w={runs['width']:g}"


_DEFAULTS = (
    ("criterion", "subset"),
    ("adaptation", "refit"),
    ("label_order", "index"),
)


def _table(title: str, published: Iterable[Published], runs: Sequence[Runs]) -> str:
    rows = []
    lines = list(published)
    for task in dict.fromkeys(line.task for line in lines):
        rows += [_of_paper(line) for line in lines if line.task == task]
        for one in runs:
            if one["task"] == task:
                rows += _of_runs(one)
    return "\n".join([f"## {title}", "", *_lines(HEADER, rows)]) + "\n"


def _of_paper(line: Published) -> tuple[str, ...]:
    share = NONE if line.share is None else _percent(line.share)
    name = f"{line.method}, published"
    accuracy = _percent(line.accuracy, 2)
    return (line.task, line.arch, str(line.k), name, accuracy, NONE, share, NONE, NONE, NONE)


def _of_runs(runs: Runs) -> list[tuple[str, ...]]:
    start = (str(runs["task"]), str(runs["arch"]), str(runs["k"]))
    count = f"{runs.seeds} × {runs.draws / runs.seeds:g}"
    shares = [runs.mean(key) for key in ("parameter_share", "macs_share")]
    ours = (
        *start,
        f"**{label_of(runs)}**",
        _percent(runs.mean("accuracy"), 2),
        _percent(runs.deviation_over_targets(), 2),
        *(_percent(share) for share in shares),
        count,
        _gap(runs.difference("ensemble")),
    )
    rows = [ours]
    for name in BASELINE_NAMES:
        accuracy = runs.mean(f"{name}_accuracy")
        if accuracy is not None:
            size = ("100", "100") if name == "ensemble" else (NONE, NONE)
            label = f"{name}, beside {runs['budget']}"
            rows.append((*start, label, _percent(accuracy, 2), NONE, *size, count, NONE))
    return rows


def _gap(gap: Difference | None) -> str:
    if gap is None:
        return NONE
    return f"{100 * gap.mean:+.2f} ({100 * gap.low:+.2f} to {100 * gap.high:+.2f})"


def _percent(share: float | None, digits: int = 1) -> str:
    return NONE if share is None else f"{100 * share:.{digits}f}"


def _lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", f"| {' | '.join('---' for _ in header)} |"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]
