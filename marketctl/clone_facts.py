"""What a pack was cloned from, as the command line shows it."""

from __future__ import annotations

from sliceandpack.packer.v1 import packs_pb2

from marketctl.columns import count


def clone_facts(pack: packs_pb2.Pack) -> list[tuple[str, str]]:
    """Returns what a pack was cloned from, as lines to show; none for a pack of fragments."""
    if not pack.HasField("clone"):
        return []
    found = pack.clone
    facts = [("target", found.target)]
    if found.classes:
        names = ", ".join(one.pack_label or one.label for one in found.classes)
        beside = found.position == "inputs"
        place = "beside the whole target" if beside else f"behind {found.position} of the target"
        facts += [
            ("cloned", f"{names}, of {found.source}"),
            ("part", f"{place}, {count(found.added_parameters)} parameters added"),
        ]
    return [*facts, ("target's file", found.target_graph.name)]
