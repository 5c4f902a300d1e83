"""Files of evaluation samples that nobody has looked at yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from packer_svc.fusion.errors import FusionError
from packer_svc.fusion.errors import FusionReason as R
from packer_svc.jobs import evaluation_samples
from packer_svc.jobs.evaluation_samples import EvaluationSamples, read_evaluation_samples
from svckit.input_spec import Image, InputSpec, Semantics, Tensor, Text
from tests.helpers.submissions import npz

SPECS = [InputSpec("x", (2, 3), "float32", Tensor(0.0, 1.0))]
LABELS = ("cat", "dog", "ship")
FITTED = np.random.default_rng(7).random((4, 2, 3)).astype(np.float32)
Arrays = dict[str, NDArray[Any]]


def arrays(count: int = 9, seed: int = 0) -> Arrays:
    drawn = np.random.default_rng(seed).random((count, 2, 3)).astype(np.float32)
    return {"x": drawn, "labels": np.array([LABELS[i % 3] for i in range(count)])}


def read(folder: Path, found: Arrays | bytes, seen: Arrays | None = None) -> EvaluationSamples:
    path, model = folder / "evaluation.npz", folder / "model.npz"
    path.write_bytes(found if isinstance(found, bytes) else npz(found))
    model.write_bytes(npz(seen or {**arrays(seed=99), "labels": np.arange(9)}))
    samples = read_evaluation_samples(path, SPECS, LABELS)
    samples.refuse_seen([model, model], {"x": FITTED})
    return samples


def refusal(folder: Path, found: Arrays | bytes, seen: Arrays | None = None) -> FusionError:
    with pytest.raises(FusionError) as caught:
        read(folder, found, seen)
    assert caught.value.advice.endswith(".")
    return caught.value


def test_labels_are_the_packs_in_any_order_and_number(tmp_path: Path) -> None:
    given = arrays(7)
    found = read(tmp_path, given)
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert np.array_equal(found.inputs["x"], given["x"])


def test_equal_samples_count_once_unless_they_are_labelled_differently(tmp_path: Path) -> None:
    given = arrays(9)
    given["x"][[3, 6]] = given["x"][0]
    given["x"][1] = given["x"][2]
    found = read(tmp_path, given)
    assert sorted(found.labels.tolist()) == [0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("change", "reason", "told"),
    [
        ({"labels": np.arange(9) % 3}, R.SAMPLES_MISMATCH, "int64"),
        ({"labels": np.array([["cat"]])}, R.SAMPLES_MISMATCH, "(1, 1)"),
        ({"labels": np.array([])}, R.SAMPLES_MISMATCH, "no sample"),
        ({"labels": np.array(["cat", "Dog", "ship"] * 3)}, R.CLASS_UNKNOWN, "'Dog'"),
        ({"labels": np.array(["cat", "dog", "dog"] * 3)}, R.SAMPLES_CLASS_MISSING, "'ship'"),
        ({"labels": np.array(["cat", "dog", "ship"])}, R.SAMPLES_MISMATCH, "(3, 2, 3)"),
        ({"x": arrays()["x"].astype(np.float64)}, R.SAMPLES_MISMATCH, "float64"),
        ({"x": arrays()["x"].astype(">f4")}, R.SAMPLES_MISMATCH, ">f4"),
        ({"x": arrays()["x"].reshape(9, 6)}, R.SAMPLES_MISMATCH, "(9, 6)"),
        ({"x": np.full((9, 2, 3), np.nan, np.float32)}, R.SAMPLES_OUT_OF_RANGE, "sample 0"),
        ({"x": 255 * arrays()["x"]}, R.SAMPLES_OUT_OF_RANGE, "sample 0"),
        ({"y": np.zeros(9)}, R.SAMPLES_MISMATCH, "'y'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, change: Arrays, reason: R, told: str) -> None:
    error = refusal(tmp_path, arrays() | change)
    assert error.reason is reason
    assert told in error.message


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    given = arrays()
    del given["labels"]
    assert refusal(tmp_path, given).metadata == {"array": "labels"}


def test_pickles_and_other_files_are_refused(tmp_path: Path) -> None:
    objects = {**arrays(), "labels": np.array(["cat", "dog", None] * 3, dtype=object)}
    path = tmp_path / "pickled.npz"
    np.savez(path, allow_pickle=True, **objects)
    for data in (path.read_bytes(), b"", b"PK\x03\x04 no archive"):
        assert refusal(tmp_path, data).reason is R.SAMPLES_UNREADABLE


def test_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_samples, "MAX_BYTES", 100)
    error = refusal(tmp_path, arrays())
    assert error.reason is R.SAMPLES_TOO_LARGE
    assert error.metadata["limit_bytes"] == "100"


def test_what_the_pack_was_made_from_is_refused_whatever_its_class_there(tmp_path: Path) -> None:
    given, seen = arrays(), arrays(seed=5)
    seen["x"][4] = given["x"][7]
    # The other model calls its input by another name.
    error = refusal(tmp_path, given, {"image": seen["x"], "labels": np.arange(9)})
    assert error.reason is R.FIELD_INVALID
    assert "index 7" in error.message
    assert error.metadata["field"] == "pack.options.evaluation_samples"


def test_what_it_was_fitted_on_as_the_pack_is_fed_is_refused_too(tmp_path: Path) -> None:
    given = arrays()
    given["x"][[2, 3]] = FITTED[0]
    error = refusal(tmp_path, given)
    assert (error.reason, error.metadata["sample"]) == (R.FIELD_INVALID, "2")


@pytest.mark.parametrize(
    ("semantics", "element", "fits", "wrong"),
    [
        (Image(False, 0.0, 1.0, (0.5, 0.5), (0.25, 0.25)), "float32", [-2.0, 2.0], 2.1),
        (Image(True, 0.0, 255.0, (0.0, 0.0, 100.0)), "float32", [0.0, 155.0], 156.0),
        (Text("sha256:0", 10, 0), "int64", [0, 9], 10),
        (Text("sha256:0", 10, 0), "int64", [0, 9], -1),
        (Tensor(), "float32", [-1e30, 1e30], np.inf),
    ],
)
def test_values_that_the_pack_is_never_fed_are_refused(
    tmp_path: Path, semantics: Semantics, element: str, fits: list[float], wrong: float
) -> None:
    spec = InputSpec("x", (2, 1, 3), element, semantics)
    path = tmp_path / "evaluation.npz"
    x = np.zeros((2, 2, 1, 3), element)
    x[0], x[1] = fits
    labels = np.array(["cat", "dog"])
    path.write_bytes(npz({"x": x, "labels": labels}))
    assert len(read_evaluation_samples(path, [spec], ["cat", "dog"]).labels) == 2
    x[1, 1, 0, 2] = wrong
    path.write_bytes(npz({"x": x, "labels": labels}))
    with pytest.raises(FusionError) as refused:
        read_evaluation_samples(path, [spec], ["cat", "dog"])
    assert refused.value.reason is R.SAMPLES_OUT_OF_RANGE
    assert refused.value.metadata["sample"] == "1"
