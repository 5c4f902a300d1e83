"""A pack's lineage as a picture."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import typer
from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.lineage_picture import check_picture, lineage_svg

SVG = "{http://www.w3.org/2000/svg}"


def lineage(fragments: int) -> tuple[pb.Lineage, pb.Pack]:
    """A pack of two models, whose first licence wants escaping."""
    pack = pb.Pack(name="packs/p")
    pack.graph.name = f"artifacts/sha256:{'1' * 64}"
    nodes = [pb.LineageNode(name="packs/p", kind="pack", parents=[pack.graph.name])]
    for place in range(fragments):
        name = f"models/m{place % 2}/fragments/f-{place}"
        pack.fragments.add(fragment=name, label=f"<{'long ' * 30}{place}>")
        nodes[0].parents.append(name)
        graph = f"artifacts/sha256:{place:064x}"
        parents = [f"models/m{place % 2}", graph]
        nodes.append(pb.LineageNode(name=name, kind="fragment", parents=parents))
    for place, licence in enumerate(("A & B", "")):
        samples = f"artifacts/sha256:{'f' * 63}{place}"
        node = pb.LineageNode(
            name=f"models/m{place}", kind="model", licence=licence, parents=[samples]
        )
        nodes.append(node)
    return pb.Lineage(nodes=nodes), pack


@pytest.mark.parametrize("fragments", [1, 2, 40])
def test_every_thing_stands_once_and_none_on_another(fragments: int) -> None:
    drawn = ET.fromstring(lineage_svg(*lineage(fragments)))
    titles = [group.findtext(f"{SVG}title") for group in drawn.iter(f"{SVG}g")]
    assert len(set(titles)) == len(titles) == 1 + fragments + 2
    boxes = [
        [float(rect.attrib[key]) for key in ("x", "y", "width", "height")]
        for rect in drawn.iter(f"{SVG}rect")
    ]
    width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in boxes)
    for (x, y, w, h), (left, top, wide, high) in combinations(boxes, 2):
        assert x + w <= left or left + wide <= x or y + h <= top or top + high <= y


def test_lines_lead_from_every_thing_to_what_it_was_made_of() -> None:
    drawn = ET.fromstring(lineage_svg(*lineage(3)))
    assert len(list(drawn.iter(f"{SVG}path"))) == 3 + 3


def test_it_tells_labels_licences_and_what_artifacts_are() -> None:
    drawn = ET.fromstring(lineage_svg(*lineage(2)))
    texts = [text.text or "" for text in drawn.iter(f"{SVG}text")]
    assert "licence A & B" in texts
    assert "licence not given" in texts
    assert "graph 111111111111…" in texts
    assert "samples ffffffffffff…" in texts
    assert any(text.startswith("class <long") and text.endswith("0>") for text in texts)


def test_what_is_no_svg_in_a_folder_is_refused(tmp_path: Path) -> None:
    check_picture(tmp_path / "p.SVG")
    for path in (tmp_path / "p.png", tmp_path / "nowhere" / "p.svg"):
        with pytest.raises(typer.BadParameter):
            check_picture(path)
