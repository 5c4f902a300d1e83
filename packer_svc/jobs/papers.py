"""Writes what belongs to a pack beside its graph: manifest, proof, and the proof as a page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packer_svc.fusion.processor import processor
from packer_svc.report.page import page
from packer_svc.report.title import Title

# No text of JSON has a line break in it: only an array of numbers looks like this.
_NUMBERS = re.compile(r"\[\n(?:[-+\d.eE,\s]|null)*\]")


def write_papers(
    folder: Path, title: Mapping[str, str], manifest: Mapping[str, Any], proof: Mapping[str, Any]
) -> None:
    """Writes ``manifest.json``, ``proof.json`` and ``report.html``.

    Args:
        folder: Where they go.
        title: The fields of `Title`.
        manifest: What the pack is made of.
        proof: What was measured; where, is added.
    """
    measured = {**proof, "processor": processor()}
    (folder / "manifest.json").write_text(json_text(manifest))
    (folder / "proof.json").write_text(json_text(measured))
    (folder / "report.html").write_text(page(measured, manifest, Title(**title)), "utf-8")


def json_text(value: Mapping[str, Any]) -> str:
    """JSON for people: indented, keys in order, the numbers of an array in one line."""
    text = json.dumps(value, indent=2, sort_keys=True)
    return _NUMBERS.sub(lambda found: " ".join(found.group().split()), text)
