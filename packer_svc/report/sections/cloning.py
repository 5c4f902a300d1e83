"""What a pack was cloned from, and how the place of the cloned part was chosen."""

from collections.abc import Mapping
from typing import Any

from packer_svc.report.figures import count, share
from packer_svc.report.markup import code, escaped, facts, paragraph, section
from packer_svc.report.tables import Column, Kind, table

_BESIDE = "inputs"


def cloning(proof: Mapping[str, Any]) -> str:
    """Both models, what was tried and what was added; nothing for a pack of fragments."""
    found = proof.get("clone")
    if not found:
        return ""
    known = [
        ("Target", code(found["target"])),
        ("Its file", code(found["target_graph"])),
        ("Parameters added", count(found["added_parameters"])),
    ]
    if not found["classes"]:
        return section("cloning", "Cloning", facts(known), paragraph("No cloned class is left."))
    classes = ", ".join(escaped(one["pack_label"]) for one in found["classes"])
    known += [
        ("Cloned classes", classes),
        ("Source", code(found["source"])),
        ("Part found by", escaped(found["locator"])),
        ("Put in", _place(found["position"])),
    ]
    columns = (
        Column("Position, from the last on"),
        Column("Accuracy", Kind.NUMBER),
        Column("Log loss, nats", Kind.NUMBER),
    )
    rows = [
        (_place(one["position"]), share(one["accuracy"]), f"{one['log_loss']:.3f}")
        for one in found["tried"]
    ]
    caption = "Positions by cross-validation on the samples"
    tried = table(caption, columns, rows) if rows else paragraph("The position was given.")
    return section("cloning", "Cloning", facts(known), tried)


def _place(position: str) -> str:
    return "beside the whole target" if position == _BESIDE else f"behind {code(position)}"
