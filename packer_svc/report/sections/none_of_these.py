"""How well the pack tells that an input is of none of its classes."""

from collections.abc import Mapping
from typing import Any

from packer_svc.report.figures import count, share, small
from packer_svc.report.markup import beside, escaped, facts, figure, paragraph, section
from packer_svc.report.plots.roc import roc_plot
from packer_svc.report.tables import Column, Kind, table

RATES = (0.01, 0.02, 0.05, 0.1, 0.2)


def none_of_these(proof: Mapping[str, Any]) -> str:
    """The second output's worth; nothing for a pack without it."""
    found = proof.get("none_of_these")
    if not found:
        return ""
    curve = found.get("roc") or {}
    false_, true_ = curve.get("false_positive_rate", ()), curve.get("true_positive_rate", ())
    auc = found["auc"]
    points = list(zip(false_, true_, strict=True))
    told = facts(
        [
            ("Area under the curve", f"{auc:.3f}; 1 is perfect, 0.5 is chance"),
            ("Threshold", small(found.get("threshold"))),
            ("Samples of its classes", count(found.get("samples_inside"))),
            ("Samples of none of them", count(found.get("samples_outside"))),
        ]
    )
    origin = str(found.get("origin", "")).rstrip(".")
    explained = paragraph(
        "How well the second output tells that an input is of no class of the pack, on samples "
        f"that its fit has not seen. For such inputs stood: {escaped(origin)}."
    )
    if not points:
        return section("none-of-these", "None of these", explained, told)
    columns = (
        Column("Own samples turned away, at most"),
        Column("Others recognised", Kind.NUMBER),
    )
    rows = [
        (share(rate), share(max((y for x, y in points if x <= rate), default=0.0)))
        for rate in RATES
    ]
    caption = "Every threshold is a point; the dashed line is chance."
    return section(
        "none-of-these",
        "None of these",
        explained,
        beside(
            figure(roc_plot(false_, true_, auc), caption),
            f"<div>{told}{table('Read off the curve', columns, rows)}</div>",
        ),
    )
