from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.paper.baselines.camkd import Judge, Student, Teacher, loss_of, surprise, weights
from benchmarks.paper.baselines.disassembly import disassembly, relevant_units
from benchmarks.paper.baselines.ensemble import ensemble
from benchmarks.paper.baselines.finetune import finetune
from benchmarks.paper.baselines.registry import kept_answers
from benchmarks.paper.bench import Bench
from benchmarks.paper.experiment import trial_of
from benchmarks.paper.origins import text_recipe
from benchmarks.paper.samples import Draw
from benchmarks.paper.trial import Baseline, Trial
from slicer_svc.slicing.network import Network
from tests.helpers.small_classifiers import model_of
from tests.helpers.tiny_pictures import tiny_bench

TARGET = (0, 3, 6)
RELAY = """
relay (float[batch, 4, 4, 4] x) => (float[batch, 2] scores)
  <float[4, 4, 1, 1] w0, float[4, 4, 1, 1] w1, float[2, 4] w2>
{
  maps0 = Conv (x, w0)
  active0 = Relu (maps0)
  maps1 = Conv (active0, w1)
  active1 = Relu (maps1)
  pooled = GlobalAveragePool (active1)
  flat = Flatten (pooled)
  scores = Gemm <transB = 1> (flat, w2)
}
"""


@pytest.fixture(scope="module")
def bench(market: Path) -> Bench:
    return tiny_bench(market)


@pytest.fixture(scope="module")
def judged(bench: Bench) -> tuple[Trial, NDArray[np.int64]]:
    return trial_of(bench, Draw(bench.corpus, 5, seed=0, number=0), TARGET)


@pytest.mark.parametrize(("baseline", "least"), [(ensemble, 0.7), (finetune, 0.7)])
def test_a_baseline_knows_some_of_what_the_origins_know(
    judged: tuple[Trial, NDArray[np.int64]], baseline: Baseline, least: float
) -> None:
    trial, labels = judged
    first = baseline(trial)
    assert float((first.guesses == labels).mean()) >= least
    assert first.chosen


def test_answers_are_found_again_and_not_for_other_samples(
    bench: Bench, judged: tuple[Trial, NDArray[np.int64]], tmp_path: Path
) -> None:
    said: list[str] = []
    first = kept_answers("disassembly", judged[0], tmp_path, said.append)
    again = kept_answers("disassembly", judged[0], tmp_path, said.append)
    np.testing.assert_array_equal(first.guesses, again.guesses)
    assert len(said) == 1
    other, _ = trial_of(bench, Draw(bench.corpus, 5, seed=0, number=1), TARGET)
    kept_answers("disassembly", other, tmp_path, said.append)
    assert len(said) == 2


def test_disassembly_keeps_what_the_class_stands_on() -> None:
    through = np.eye(4, dtype=np.float32)[:, :, None, None]
    reads = np.array([[5, 0.1, 0.1, 0], [0, 0.1, 5, 5]], dtype=np.float32)
    network = Network.of(model_of(RELAY, w0=through, w1=through, w2=reads))
    samples = np.random.default_rng(0).uniform(0.5, 1.0, (6, 4, 4, 4)).astype(np.float32)
    first = relevant_units(network, 0, samples)
    second = relevant_units(network, 1, samples)
    assert {group: units.tolist() for group, units in first.items()} == {"maps0": [0], "maps1": [0]}
    assert all(units.tolist() == [2, 3] for units in second.values())


def test_disassembly_compares_the_scores_of_parts_that_know_one_class(
    judged: tuple[Trial, NDArray[np.int64]],
) -> None:
    trial, labels = judged
    found = disassembly(trial)
    assert found.guesses.shape == labels.shape
    assert set(found.guesses.tolist()) <= {0, 1, 2}


def test_the_surer_teacher_weighs_more_and_weights_sum_to_one() -> None:
    surprises = torch.tensor([[0.1, 3.0], [3.0, 0.1], [3.0, 3.0]])
    found = weights(surprises)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(2))
    assert found[0, 0] == found[:, 0].max()
    assert found[1, 1] == found[:, 1].max()


def test_a_teacher_speaks_of_the_packs_classes_alone() -> None:
    judge = Judge(torch.eye(4), torch.zeros(4), ((1, 2),), classes=3)
    told = judge.of_features(torch.tensor([[0.0, 0.0, 9.0, 0.0], [9.0, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(told.sum(dim=1), torch.ones(2))
    assert told[0, 1] > 0.99
    assert told[1, 0] == told[1, 2] > 0.49
    unknown = surprise(told, torch.tensor([0, 0]))
    assert unknown[0] > unknown[1]


def test_a_student_takes_over_what_its_teachers_know() -> None:
    torch.manual_seed(0)
    labels = torch.arange(24) % 2
    # Sentences of words of their own class, which the teachers know by their features.
    tokens = 2 + 10 * labels[:, None] + torch.randint(0, 10, (24, 8))
    features = torch.nn.functional.one_hot(labels, 2).float()
    teachers = []
    for place in (0, 1):
        judge = Judge(8.0 * torch.eye(2), torch.zeros(2), ((place, place),), classes=2)
        told = judge.of_features(features)
        teachers.append(Teacher(judge, features, told, surprise(told, labels)))
    recipe = replace(text_recipe("words", (0, 1), "cnn", 0.05, 0, 24), vocabulary=22)
    student = Student(recipe, 2, [2, 2])
    optimiser = torch.optim.Adam(student.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = loss_of(student, tokens, labels, teachers, torch.arange(24))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    unseen = 2 + 10 * labels[:, None] + torch.randint(0, 10, (24, 8))
    guesses = student.eval()(unseen).argmax(dim=1)
    assert float((guesses == labels).float().mean()) > 0.9
