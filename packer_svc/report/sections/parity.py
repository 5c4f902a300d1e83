"""Parity: pack against parts, on every leg, kind of input and batch."""

from collections.abc import Mapping
from typing import Any

from packer_svc.report.figures import power, share, small
from packer_svc.report.markup import escaped, paragraph, section
from packer_svc.report.plots.strips import LogAxis, log_labels, log_strip
from packer_svc.report.tables import Column, Kind, table

_LEGS = {"plain": "node by node", "optimised": "as served"}
FLOOR = 1e-9
"""What differs by less is drawn at the left end: it is rounding of rounding."""

ROUNDING = 1e-12
"""What a cosine lacks by rounding alone."""


def parity(proof: Mapping[str, Any]) -> str:
    """How far the pack is from its parts."""
    tolerance, cases = proof["tolerance"], proof["cases"]
    allowed = (tolerance["atol"], tolerance["atol"] + tolerance["rtol"])
    distances = [max(case["parity"]["max_abs"], FLOOR) for case in cases]
    axis = LogAxis.over([*distances, 10 * allowed[1]])
    title = log_labels(axis)
    columns = (
        Column("Run"),
        Column("Inputs"),
        Column("Batch", Kind.NUMBER),
        Column("Rows", Kind.NUMBER),
        Column("max |a − b|", Kind.NUMBER),
        Column("against the tolerance", Kind.PLOT, title),
        Column("Cosine", Kind.NUMBER),
        Column("Same class", Kind.NUMBER),
        Column("Passed"),
    )
    rule = f"{small(tolerance['atol'])} + {small(tolerance['rtol'])} · |b|"
    return section(
        "parity",
        "Parity",
        paragraph(
            "Does the pack compute what it was made of? The reference b is the head in float64, "
            "nothing folded, on what every fragment says by itself; a is the pack, run by ONNX "
            "Runtime node by node as it is written, and optimised as it is served. A probability "
            f"may differ by {rule}."
        ),
        table(
            "Largest difference of a probability, by run, inputs and batch",
            columns,
            [_row(case, axis, allowed) for case in cases],
        ),
        paragraph(
            "Shaded is what is allowed: up to the dashed line for a probability near 0, to the end "
            "of the paler band for one near 1. The scale is logarithmic; less than "
            f"{power(-9)} stands at its left end.",
            "note",
        ),
    )


def _row(case: Mapping[str, Any], axis: LogAxis, allowed: tuple[float, float]) -> tuple[str, ...]:
    found = case["parity"]
    passed = bool(found["passed"])
    mark = '<span class="pass">✓ yes</span>' if passed else '<span class="fail">✗ no</span>'
    return (
        f'<span class="whole">{escaped(_LEGS.get(case["leg"], case["leg"]))}</span>',
        escaped(case["inputs"]),
        f"{case['batch']:,}",
        f"{case['rows']:,}",
        small(found["max_abs"]),
        log_strip(found["max_abs"], axis, allowed, passed=passed),
        _cosine(found["cosine"]),
        share(found["top1"]),
        mark,
    )


def _cosine(value: float) -> str:
    """A cosine near 1 by what it lacks: its nines are hard to count."""
    lacks = 1 - value
    if lacks < ROUNDING:
        return "1"
    return f"1 − {small(lacks)}" if lacks < 1e-3 else f"{value:.4f}"
