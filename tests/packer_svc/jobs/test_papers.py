"""What is written beside a pack's graph."""

from __future__ import annotations

import json
from pathlib import Path

from packer_svc.jobs.papers import json_text, write_papers
from tests.helpers import papers


def test_json_for_people_has_arrays_of_numbers_in_one_line() -> None:
    value = {
        "counts": [[1, 2], [-3, 4.5e-7]],
        "none": [None, 1.0],
        "empty": [],
        "text": ["[\n1\n]", "a"],
        "deep": {"b": [{"c": [1]}]},
    }
    text = json_text(value)
    assert json.loads(text) == value
    assert "[ 1, 2 ]" in text
    assert "[ -3, 4.5e-07 ]" in text
    assert "[ null, 1.0 ]" in text


def test_proof_manifest_and_page_tell_of_one_pack(tmp_path: Path) -> None:
    labels = ["Katze 猫", "dog"]
    title = {"name": "packs/harbour", "display_name": "", "made": "2026-01-02T03:04:05+00:00"}
    write_papers(tmp_path, title, papers.manifest(labels), papers.proof(2))
    proof = json.loads((tmp_path / "proof.json").read_text())
    assert json.loads((tmp_path / "manifest.json").read_text())["classes"] == labels
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "Katze 猫" in page
    assert proof["pack_digest"] in page
    assert proof["processor"]
    assert "2026-01-02 03:04 UTC" in page
