"""How one network was put together of other models' blocks, and which models gave none."""

from collections.abc import Mapping
from typing import Any

from packer_svc.report.figures import count, plural, share
from packer_svc.report.markup import code, escaped, facts, named, section
from packer_svc.report.tables import Column, Kind, table

SHOWN = 10


def network(manifest: Mapping[str, Any]) -> str:
    """Blocks from the front to the back; nothing for a pack of fragments."""
    found = manifest.get("reassembly")
    if not found:
        return ""
    proven = "proven" if not found["gap"] else f"within {share(found['gap'])} of the bound"
    blocks = (
        Column("Model"),
        Column("Reads"),
        Column("Makes"),
        Column("Parameters", Kind.NUMBER),
        Column("Of its stitch", Kind.NUMBER),
        Column("Licence"),
    )
    left_out = (Column("Model"), Column("Reason"), Column("In words"))
    number = found["leftOutCount"]
    return section(
        "network",
        "Network",
        facts(
            [
                ("Blocks from", plural(found["models"], "model")),
                ("Choice", f"{found['kept']} of the best {found['judged']}"),
                ("Best score", f"{found['score']:.3f} nats a sample, {proven}"),
                ("Left out", plural(number, "model") if number else ""),
            ]
        ),
        table(
            "Blocks from the front to the back", blocks, [_block(one) for one in found["blocks"]]
        ),
        table(
            "Models that blocks could not be taken from",
            left_out,
            [_left_out(one) for one in found["leftOut"]],
            most=SHOWN,
        ),
    )


def _block(one: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        code(one["model"]),
        code(one["firstValue"]),
        code(one["lastValue"]),
        count(one["parameters"]),
        count(one["stitchParameters"]),
        named(one["licence"]) if one["licence"] else "none given",
    )


def _left_out(one: Mapping[str, Any]) -> tuple[str, ...]:
    return code(one["model"]), code(one["reason"]), escaped(one["message"])
