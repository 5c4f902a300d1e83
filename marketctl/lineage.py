"""The lineage of a pack as an indented tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sliceandpack.packer.v1 import packs_pb2 as pb

_ROLES: Mapping[str, tuple[str, ...]] = {
    "fragment": ("graph",),
    # A whole model in a pack has its graph there, too, and the target of a clone its file.
    "model": ("samples", "graph", "file"),
}
_PARTS = ("graph", "manifest", "proof", "smoke_test", "report")
_DIGITS = 12


def roles_of(pack: pb.Pack) -> dict[str, str]:
    """Returns what a pack's own artifacts are, by their names."""
    return {getattr(pack, part).name: part.replace("_", " ") for part in _PARTS}


def artifact_roles(node: pb.LineageNode) -> dict[str, str]:
    """Returns what the artifacts of a fragment or a model are, by their names."""
    artifacts = [name for name in node.parents if name.startswith("artifacts/")]
    return dict(zip(artifacts, _ROLES.get(node.kind, ()), strict=False))


def lineage_lines(lineage: pb.Lineage, pack: pb.Pack) -> Iterator[str]:
    """Yields a line for each thing, what it was made of below it and further in.

    A thing that several were made of is followed up where it comes first.

    Args:
        lineage: What the pack was made of, the pack first.
        pack: The pack, which says what its artifacts are.
    """
    nodes = {node.name: node for node in lineage.nodes}
    roles = roles_of(pack)
    followed: set[str] = set()

    def below(name: str, depth: int, role: str) -> Iterator[str]:
        node = nodes.get(name, pb.LineageNode(name=name))
        licence = f"  {node.licence}" if node.licence else ""
        again = name in followed and len(node.parents) > 0
        yield f"{'  ' * depth}{role}  {_short(name)}{licence}{'  (see above)' if again else ''}"
        if again:
            return
        followed.add(name)
        for parent in node.parents:
            kind = nodes[parent].kind if parent in nodes else "artifact"
            of_it = roles if node.kind == "pack" else artifact_roles(node)
            known = of_it.get(parent, kind)
            yield from below(parent, depth + 1, known if kind == "artifact" else kind)

    yield from below(pack.name, 0, "pack")


def _short(name: str) -> str:
    """Returns a name as it reads in a tree: of a digest, no command takes more than a look."""
    collection, colon, digits = name.partition(":")
    return f"{collection}{colon}{digits[:_DIGITS]}…" if colon and len(digits) > _DIGITS else name
