from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.paper.result import encode
from benchmarks.report.__main__ import main
from benchmarks.report.documents import Runs, grouped, read_runs

EXAMPLES = 40
OVERLAP = {"classes": [0, 1], "groups": ["a", "b"], "iou": [[[1, 0.2], [0.2, 1]]] * 2}


def a_document(seed: int, **changes: Any) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    correct = {
        name: [random.random((2, EXAMPLES)) < share for _ in range(3)]
        for name, share in (("pack", 0.9), ("ensemble", 0.6), ("random", 0.5))
    }
    means = {name: float(np.mean(parts)) for name, parts in correct.items()}
    asked = {
        "task": "T1",
        "arch": "vgg16",
        "data": "pictures",
        "k": 20,
        "method": "closed_form",
        "criterion": "subset",
        "adaptation": "refit",
        "budget": "macs0.25",
        "block": None,
        "views": 8,
        "seed": seed,
        "width": 0.5,
        "draws": 2,
        "label_order": "index",
        "alone": False,
    }
    return {
        **asked,
        "accuracy": means["pack"],
        "parameter_share": 0.1,
        "macs_share": 0.25,
        "ensemble_accuracy": means["ensemble"],
        "random_accuracy": means["random"],
        "plan_seconds": 1.0,
        "slice_seconds_per_class": 2.0,
        "pack_seconds": 0.5,
        "device": "a processor",
        "unit_overlap": {"0": OVERLAP, "1": OVERLAP},
        "test_examples": [EXAMPLES] * 3,
        "correct": {name: encode(parts) for name, parts in correct.items()},
        **changes,
    }


def written(folder: Path, *documents: dict[str, Any]) -> Path:
    for number, document in enumerate(documents):
        (folder / f"{number}.json").write_text(json.dumps(document))
    return folder


def test_runs_that_differ_in_the_seed_alone_are_taken_together() -> None:
    runs = grouped([a_document(1), a_document(0), a_document(0, k=10)])
    assert sorted((one["k"], one.seeds) for one in runs) == [(10, 1), (20, 2)]


def test_a_difference_is_paired_over_all_seeds() -> None:
    one = Runs((a_document(0), a_document(1)))
    gap = one.difference("ensemble")
    assert gap is not None
    mean, whole = one.mean("accuracy"), one.mean("ensemble_accuracy")
    assert mean is not None
    assert whole is not None
    assert gap.mean == pytest.approx(mean - whole)
    assert gap.low > 0
    assert one.difference("finetune") is None


def test_the_report_has_the_papers_tables_and_a_picture_of_every_figure(tmp_path: Path) -> None:
    market = a_document(0, market={"errors": [0.0, 0.5, 1.0], "rates": [0.0, 3e5, 6.4e5]})
    rate = a_document(0, method="rate", budget="beta0.5", macs_share=0.26)
    folder = written(tmp_path, a_document(0), a_document(1), rate, market)
    assert main([str(folder), "--to", str(tmp_path / "report")]) == 0
    tables = (tmp_path / "report" / "tables.md").read_text()
    assert "| T1 | vgg16 | 20 | S&P (T), published | 76.37 |" in tables
    assert "**closed_form macs0.25 w=0.5**" in tables
    assert "| 2 × 2 |" in tables
    pictures = {path.name for path in (tmp_path / "report").glob("*.png")}
    assert pictures == {
        "figure4-T1-vgg16-k20.png",
        "figure6.png",
        "figure7-T1-vgg16-k20.png",
        "figure8.png",
    }
    for name in pictures:
        with Image.open(tmp_path / "report" / name) as picture:
            # Something is drawn on the white.
            assert np.asarray(picture.convert("L")).std() > 5


def test_a_folder_without_runs_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path, {"something": "else"})
    assert main([str(tmp_path), "--to", str(tmp_path / "report")]) == 1
    assert "no document" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_documents_of_other_things_are_left_aside(tmp_path: Path) -> None:
    folder = written(tmp_path, {"something": "else"}, a_document(0))
    assert len(read_runs(folder)) == 1
