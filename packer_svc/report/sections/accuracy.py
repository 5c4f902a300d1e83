"""Accuracy by its honest name, confusion, recall and reliability."""

from collections.abc import Mapping
from typing import Any

from packer_svc.report.figures import NOTHING, plural, share, small, wilson
from packer_svc.report.markup import beside, escaped, figure, paragraph, section, subsection
from packer_svc.report.plots.reliability import reliability_plot
from packer_svc.report.plots.strips import share_labels, share_strip
from packer_svc.report.sections.confusion import confusion
from packer_svc.report.sections.evidence import Evidence, all_evidence
from packer_svc.report.tables import Column, Kind, table


def accuracy(proof: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """What the pack is worth, as far as samples can tell."""
    found = all_evidence(proof)
    counted = next((one for one in found if one.counts), None)
    return section(
        "accuracy",
        "Accuracy",
        paragraph(escaped(f"{found[0].title}. {found[0].meaning}")),
        _comparison(found),
        "" if counted is None else confusion(counted, manifest["classes"]),
        _reliability(proof.get("reliability")),
    )


def _comparison(found: list[Evidence]) -> str:
    columns = (
        Column("Measured on"),
        Column("Samples", Kind.NUMBER),
        Column("Accuracy", Kind.NUMBER),
        Column("95 % interval", Kind.NUMBER),
        Column("", Kind.PLOT, share_labels()),
    )
    return table(
        "Accuracy, the most telling first", columns, [_evidence_row(one) for one in found]
    ) + _bound(found[0])


def _evidence_row(one: Evidence) -> tuple[str, ...]:
    # Of samples that were fitted, chance says nothing.
    interval = wilson(one.accuracy * one.samples, one.samples) if one.samples else None
    if one.title == "In-sample":
        interval = None
    return (
        escaped(one.title),
        f"{one.samples:,}" if one.samples else NOTHING,
        share(one.accuracy),
        NOTHING if interval is None else f"{share(interval[0])} to {share(interval[1])}",
        share_strip(one.accuracy, interval),
    )


def _bound(first: Evidence) -> str:
    if first.error_upper_bound is None:
        return ""
    return paragraph(
        f"With a confidence of 95 % the error is at most "
        f"<strong>{share(first.error_upper_bound)}</strong> (one-sided bound)."
    )


def _reliability(found: Mapping[str, Any] | None) -> str:
    if not found or not found["bins"]:
        return ""
    error = found["expected_calibration_error"]
    total = sum(one["samples"] for one in found["bins"])
    rows = [
        (
            f"{100 * one['above']:.0f} to {100 * one['up_to']:.0f} %",
            f"{one['samples']:,}",
            share(one["confidence"]),
            share(one["accuracy"]),
            f"{100 * (one['accuracy'] - one['confidence']):+.1f}".replace("-", "−"),
        )
        for one in found["bins"]
    ]
    columns = (
        Column("Confidence"),
        *(Column(title, Kind.NUMBER) for title in ("Samples", "Mean", "Right", "Points apart")),
    )
    caption = (
        "Each bar spans 95 % of what chance makes of its samples; the area of a dot is their "
        "number. Above the diagonal the pack is too modest, below it too sure."
    )
    return subsection(
        "Can its probabilities be trusted?",
        paragraph(
            f"Expected calibration error {small(error)}: so far, on average, is the largest "
            f"probability from the share of right answers. {plural(total, 'sample')}, head alone, "
            "cross-validated."
        ),
        beside(
            figure(reliability_plot(found["bins"], error), escaped(caption)),
            table("Confidence against right answers", columns, rows),
        ),
    )
