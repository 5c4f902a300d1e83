"""What a pack of one reassembled network tells of it."""

from __future__ import annotations

from sliceandpack.packer.v1 import packs_pb2

from marketctl.columns import share

MOST = 5
"""How many of the models left out are told; ``-o json`` has more."""


def network_facts(pack: packs_pb2.Pack) -> list[tuple[str, str]]:
    """Returns how its network was chosen; nothing for a pack of fragments.

    Args:
        pack: The pack.
    """
    found = pack.reassembly
    if not found.blocks:
        return []
    left_out = [f"{one.model}: {one.reason}" for one in found.left_out[:MOST]]
    if found.left_out_count > len(left_out):
        left_out.append(f"and {found.left_out_count - len(left_out)} more")
    proven = "proven" if not found.gap else f"within {share(found.gap)} of the bound"
    return [
        ("network", f"choice {found.kept} of the best {found.judged}, from {found.models} models"),
        ("score", f"{found.score:.3f} nats a sample, the best within the budget: {proven}"),
        *([("left out", ", ".join(left_out))] if left_out else []),
    ]
