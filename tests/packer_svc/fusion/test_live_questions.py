from __future__ import annotations

import io

import numpy as np
import pytest

from onnxgraph.agreement import Tolerance
from packer_svc.fusion.probes import AnyArray, probes
from packer_svc.fusion.smoke_test import MOST_BYTES, MOST_ROWS, questions, smoke_test


def _asked(shape: tuple[int, ...], classes: int, count: int = 20) -> tuple[bytes, dict[str, int]]:
    """The smoke test of pictures of a shape, and how many rows of each kind it has."""
    generator = np.random.default_rng(0)
    images = generator.uniform(size=(count, *shape)).astype(np.float32)
    asked = questions(list(probes({"image": images, "unused": images}, seed=0)), ["image"])
    answers = [{"probabilities": np.zeros((len(one.rows), classes))} for one in asked]
    return smoke_test(asked, answers, Tolerance()), {one.kind: len(one.rows) for one in asked}


def test_small_pictures_are_shown_many_of_each_kind() -> None:
    data, rows = _asked((3, 32, 32), 10)
    assert rows == {"samples": MOST_ROWS, "random": 7, "extreme": MOST_ROWS}
    assert len(data) < 400_000


@pytest.mark.parametrize("shape", [(3, 96, 96), (3, 224, 224)])
def test_large_pictures_are_fewer_and_never_make_a_large_file(shape: tuple[int, ...]) -> None:
    data, rows = _asked(shape, 1000)
    assert all(1 <= count < MOST_ROWS for count in rows.values())
    assert len(data) < MOST_BYTES


def test_a_picture_above_the_limit_is_shown_once_of_each_kind() -> None:
    _, rows = _asked((3, 512, 512), 2, count=3)
    assert rows == {"samples": 1, "random": 1, "extreme": 1}


def test_every_output_is_kept_under_its_name_row_by_row() -> None:
    inputs: dict[str, AnyArray] = {"tokens": np.arange(12, dtype=np.int64).reshape(6, 2)}
    asked = questions(list(probes(inputs, seed=0)), ["tokens"])
    answers = [
        {
            "probabilities": one.inputs["tokens"].astype(np.float64),
            "none_of_these": one.inputs["tokens"][:, :1].astype(np.float64),
        }
        for one in asked
    ]
    data = smoke_test(asked, answers, Tolerance(0.5, 0.25))
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        stored = dict(archive)
    assert set(stored) == {
        *("input/tokens", "output/probabilities", "output/none_of_these"),
        *("kind", "tolerance"),
    }
    assert stored["input/tokens"].dtype == np.int64
    np.testing.assert_array_equal(stored["output/probabilities"], stored["input/tokens"])
    np.testing.assert_array_equal(stored["output/none_of_these"], stored["input/tokens"][:, :1])
    assert stored["tolerance"].tolist() == [0.5, 0.25]
    assert len(stored["kind"]) == len(stored["input/tokens"])
