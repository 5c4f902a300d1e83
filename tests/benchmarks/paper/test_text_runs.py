from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.paper.__main__ import main
from benchmarks.paper.bench import Bench
from benchmarks.paper.command_line import experiment_parser, setting_of
from benchmarks.paper.corpus import read_corpus
from benchmarks.paper.experiment import trial_of
from benchmarks.paper.networks import PADDING
from benchmarks.paper.samples import Draw
from benchmarks.paper.tasks import TASKS, DataSet
from slicer_svc.slicing.augmentation import Augmentation, Words
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


def test_words_are_replaced_for_the_fit_of_fragments_alone(library: Path) -> None:
    corpus = read_corpus(DataSet.TREC, library)
    allowed = corpus.augmentation("rnn")
    assert allowed == Augmentation(texts=(Words("tokens", corpus.vocabulary, PADDING),))
    tokens = corpus.train.read(np.arange(len(corpus.train.labels)))
    assert int(np.asarray(tokens).max()) < corpus.vocabulary
    given = ["--task", "T6", "--arch", "rnn", "--k", "5", "--width", "0.25"]
    given += ["--data", str(library), "--out", str(library / "out")]
    setting = setting_of(experiment_parser("paper", "").parse_args(given))
    bench = Bench.of(setting, TASKS["T6"])
    trial, _ = trial_of(bench, Draw(corpus, 5, 0, 0), bench.task.targets[0])
    assert trial.augmentation.changes_nothing
