"""What fewer bits cost."""

from collections.abc import Mapping
from typing import Any

from packer_svc.report.figures import plural, share, small
from packer_svc.report.markup import code, escaped, facts, folded, paragraph, section
from packer_svc.report.tables import Column, Kind, table


def precision(proof: Mapping[str, Any]) -> str:
    """The price of a lower precision; nothing for a float32 pack."""
    check = proof.get("precision")
    if not check:
        return ""
    columns = (
        Column("Inputs"),
        Column("Rows", Kind.NUMBER),
        Column("max |a − b|", Kind.NUMBER),
        Column("Same class", Kind.NUMBER),
    )
    rows = [
        (
            escaped(case["inputs"]),
            f"{case['rows']:,}",
            small(case["parity"]["max_abs"]),
            share(case["parity"]["top1"]),
        )
        for case in check["cases"]
    ]
    kept = check["kept_in_float"]
    names = "".join(f"<li>{code(name)}</li>" for name in kept)
    return section(
        "precision",
        "Precision",
        paragraph(
            f"The pack computes in {escaped(check['precision'])}. It was made from the float32 "
            "pack that the parity above is about, and compared with it."
        ),
        facts(
            [
                ("Accuracy, in-sample", _accuracy(check)),
                ("Divergence", f"{small(check['divergence'])} nats, mean over the samples"),
                ("Kept in float32", plural(len(kept), "node") + ", and the head"),
            ]
        ),
        table("Against the float32 pack", columns, rows),
        folded("Nodes kept in float32", f"<ul>{names}</ul>") if kept else "",
    )


def _accuracy(check: Mapping[str, Any]) -> str:
    now, before = check["in_sample_accuracy"], check["in_sample_accuracy_fp32"]
    return f"{share(now)}, in float32 {share(before)}"
