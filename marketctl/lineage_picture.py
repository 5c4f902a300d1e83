"""The lineage of a pack as an SVG: the pack, its fragments, their models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Final

import typer
from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.lineage import artifact_roles, roles_of

_KINDS: Final = ("pack", "fragment", "model")
"""A column each, from left to right."""

_CHARACTER, _LINE, _PADDING, _GAP, _ALLEY = 7.3, 17.0, 10.0, 14.0, 70.0
"""Pixels: of a character and a line of text, around it, between boxes, between columns."""

_LONGEST: Final = 44
"""Characters of a line; of what is longer, the middle is left out."""

_DIGITS: Final = 12
_STYLE: Final = """
svg { background: #ffffff; font: 12px ui-monospace, Menlo, Consolas, monospace; }
text { fill: #1f2328; } .kind, .more { fill: #59636e; } .name { font-weight: 600; }
rect { fill: #f6f8fa; stroke: #8c959f; } path { fill: none; stroke: #8c959f; }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; } text { fill: #e6edf3; } .kind, .more { fill: #9198a1; }
rect { fill: #151b23; stroke: #656c76; } path { stroke: #656c76; }
}
"""


@dataclass(frozen=True)
class _Box:
    """One thing, with what is told of it.

    Attributes:
        node: The thing.
        lines: What stands below its name.
        left: Its left edge.
        top: Its upper edge.
        width: That of its column.
    """

    node: pb.LineageNode
    lines: Sequence[str]
    left: float = 0.0
    top: float = 0.0
    width: float = 0.0

    @property
    def needed(self) -> float:
        texts = (self.node.kind, self.node.name, *self.lines)
        return max(len(_cut(text)) for text in texts) * _CHARACTER + 2 * _PADDING

    @property
    def height(self) -> float:
        return (2 + len(self.lines)) * _LINE + 2 * _PADDING

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


def check_picture(path: Path) -> None:
    """Refuses a picture that cannot be written, before anything is asked for it.

    Raises:
        typer.BadParameter: The file is no SVG in a folder that exists.
    """
    if path.suffix.lower() != ".svg":
        raise typer.BadParameter(f"{path} is no .svg", param_hint="--picture")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}", param_hint="--picture")


def lineage_svg(lineage: pb.Lineage, pack: pb.Pack) -> str:
    """Draws what a pack was made of.

    Args:
        lineage: What it was made of, the pack first.
        pack: The pack, which says what its artifacts and its fragments' labels are.

    Returns:
        An SVG that needs nothing else, for a light and for a dark page.
    """
    roles = _roles(lineage, pack)
    labels: dict[str, list[str]] = {}
    for part in pack.fragments:
        labels.setdefault(part.fragment, []).append(part.label)
    columns = [
        [_Box(node, _lines(node, roles, labels)) for node in lineage.nodes if node.kind == kind]
        for kind in _KINDS
    ]
    boxes = _placed(columns)
    width = max(box.left + box.width for box in boxes.values()) + _GAP
    height = max(box.top + box.height for box in boxes.values()) + _GAP
    title = f"What {pack.name} was made of"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        *(_line(box, boxes[parent]) for box in boxes.values() for parent in _made_of(box, boxes)),
        *(_drawn(box) for box in boxes.values()),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _roles(lineage: pb.Lineage, pack: pb.Pack) -> dict[str, str]:
    """What an artifact is, by its name: the pack's own, a fragment's graph, a model's samples."""
    found: dict[str, str] = {}
    for node in lineage.nodes:
        found |= artifact_roles(node)
    return found | roles_of(pack)


def _lines(
    node: pb.LineageNode, roles: dict[str, str], labels: Mapping[str, Sequence[str]]
) -> list[str]:
    found = [f"class {', '.join(labels[node.name])}"] if node.name in labels else []
    if node.kind == "model":
        found.append(f"licence {node.licence or 'not given'}")
    artifacts = [parent for parent in node.parents if parent.startswith("artifacts/")]
    return found + [f"{roles.get(name, 'artifact')} {_short(name)}" for name in artifacts]


def _placed(columns: Sequence[Sequence[_Box]]) -> dict[str, _Box]:
    """Columns side by side, each in the middle of the highest."""
    heights = [sum(box.height + _GAP for box in boxes) - _GAP for boxes in columns]
    found: dict[str, _Box] = {}
    left = _GAP
    for boxes, height in zip(columns, heights, strict=True):
        top = _GAP + (max(heights) - height) / 2
        width = max((box.needed for box in boxes), default=0.0)
        for box in boxes:
            found[box.node.name] = replace(box, left=left, top=top, width=width)
            top += box.height + _GAP
        left += width + _ALLEY
    return found


def _made_of(box: _Box, boxes: dict[str, _Box]) -> list[str]:
    return [parent for parent in box.node.parents if parent in boxes]


def _line(box: _Box, parent: _Box) -> str:
    start, end = box.left + box.width, parent.left
    bend = (start + end) / 2
    return (
        f'<path d="M{start:.1f} {box.middle:.1f} C{bend:.1f} {box.middle:.1f} '
        f'{bend:.1f} {parent.middle:.1f} {end:.1f} {parent.middle:.1f}"/>'
    )


def _drawn(box: _Box) -> str:
    texts = [("kind", box.node.kind), ("name", box.node.name), *(("more", t) for t in box.lines)]
    lines = [
        f'<text class="{kind}" x="{box.left + _PADDING:.1f}" '
        f'y="{box.top + _PADDING + _LINE * (place + 0.75):.1f}">{escape(_cut(text))}</text>'
        for place, (kind, text) in enumerate(texts)
    ]
    frame = (
        f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="6"/>'
    )
    return f"<g><title>{escape(box.node.name)}</title>{frame}{''.join(lines)}</g>"


def _cut(text: str) -> str:
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[: half - 1]}…{text[-half:]}"


def _short(name: str) -> str:
    return f"{name.rpartition(':')[2][:_DIGITS]}…"
