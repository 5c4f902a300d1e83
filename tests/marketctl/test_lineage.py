"""A pack's lineage as a tree."""

from __future__ import annotations

from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.lineage import lineage_lines


def artifact(digit: int) -> str:
    return f"artifacts/sha256:{str(digit) * 64}"


def test_every_thing_has_a_line_with_its_role_below_what_was_made_of_it() -> None:
    pack = pb.Pack(name="packs/p")
    pack.graph.name, pack.proof.name, pack.report.name = artifact(1), artifact(2), artifact(5)
    first, second = "models/m/fragments/f-1", "models/m/fragments/f-2"
    lineage = pb.Lineage(
        nodes=[
            pb.LineageNode(
                name="packs/p",
                kind="pack",
                parents=[first, second, artifact(1), artifact(2), artifact(5)],
            ),
            pb.LineageNode(
                name=first, kind="fragment", licence="MIT", parents=["models/m", artifact(3)]
            ),
            pb.LineageNode(name=second, kind="fragment", licence="MIT", parents=["models/m"]),
            pb.LineageNode(name="models/m", kind="model", licence="MIT", parents=[artifact(4)]),
            *(pb.LineageNode(name=artifact(digit), kind="artifact") for digit in (1, 2, 3, 4, 5)),
        ]
    )
    assert list(lineage_lines(lineage, pack)) == [
        "pack  packs/p",
        "  fragment  models/m/fragments/f-1  MIT",
        "    model  models/m  MIT",
        "      samples  artifacts/sha256:444444444444…",
        "    graph  artifacts/sha256:333333333333…",
        "  fragment  models/m/fragments/f-2  MIT",
        "    model  models/m  MIT  (see above)",
        "  graph  artifacts/sha256:111111111111…",
        "  proof  artifacts/sha256:222222222222…",
        "  report  artifacts/sha256:555555555555…",
    ]
