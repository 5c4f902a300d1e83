from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paper.__main__ import main
from tests.helpers.tiny_sentences import write_tiny_texts


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    write_tiny_texts(folder, train=20, test=10)
    return folder


def run(library: Path, task: str, arch: str, *more: str) -> dict[str, Any]:
    out = library / "out"
    given = [
        *("--task", task, "--arch", arch, "--k", "5", "--width", "0.25", "--block", "1"),
        *("--threads", "1", "--data", str(library), "--out", str(out), *more),
    ]
    before = set(out.glob("*.json"))
    assert main(given) == 0
    (path,) = set(out.glob("*.json")) - before
    document: dict[str, Any] = json.loads(path.read_text())
    return document


@pytest.mark.parametrize(("task", "arch", "share"), [("T6", "rnn", 0.43), ("T7", "cnn", 0.49)])
def test_text_packs_keep_to_their_share_of_parameters_without_embeddings(
    library: Path, task: str, arch: str, share: float
) -> None:
    found = run(library, task, arch, "--budget-params", str(share))
    assert share - 0.1 < found["parameter_share"] <= share
    assert found["accuracy"] > 0.8
    whole = found["ensemble_parameters_with_embeddings"]
    assert whole > found["ensemble_parameters"]


def test_disassembly_is_not_defined_for_text(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        *("--task", "T6", "--arch", "rnn", "--k", "5", "--data", str(library)),
        *("--out", str(library / "out"), "--baselines", "disassembly"),
    ]
    assert main(given) == 1
    assert "disassembly" in capsys.readouterr().err
