"""Which samples of other models are chosen, and how they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from slicer_svc.jobs import other_samples
from slicer_svc.jobs.other_samples import choose_other_samples, read_other_samples
from slicer_svc.slicing.samples import UNLABELLED, UNLABELLED_MOST
from svckit.input_spec import InputSpec, Tensor
from tests.helpers.submissions import npz


def spec(name: str, width: int = 2, element: str = "float32") -> InputSpec:
    return InputSpec(name, (width,), element, Tensor(0, 10_000))


def candidate(
    folder: Path, name: str, arrays: dict[str, NDArray[Any]], *inputs: InputSpec
) -> dict[str, Any]:
    path = folder / f"{name}.npz"
    path.write_bytes(npz(arrays))
    return {
        "model": f"models/{name}",
        "samples": str(path),
        "count": len(arrays["labels"]),
        "inputs": [one.to_json() for one in inputs],
    }


def numbered(labels: NDArray[np.int64], start: int) -> dict[str, NDArray[Any]]:
    """Samples that say who they are: both values of each are its number."""
    numbers = np.arange(start, start + len(labels), dtype=np.float32)
    return {"x": np.stack([numbers, numbers], axis=1), "labels": labels}


def chosen(folder: Path, *candidates: dict[str, Any], own: InputSpec) -> NDArray[Any]:
    path = folder / "chosen.npz"
    request = {
        "inputs": [own.to_json()],
        "candidates": candidates,
        "new_other_samples": str(path),
    }
    told = choose_other_samples(request)
    found = read_other_samples(path)
    assert (found.labels == UNLABELLED).all()
    assert told["count"] == len(found)
    assert list(found.inputs) == [own.name]
    return found.inputs[own.name]


def test_small_models_give_all_and_large_ones_share_the_rest_evenly(tmp_path: Path) -> None:
    small = candidate(tmp_path, "small", numbered(np.zeros(10, np.int64), 0), spec("x"))
    large = [
        candidate(tmp_path, f"large{start}", numbered(np.zeros(500, np.int64), start), spec("x"))
        for start in (1000, 2000)
    ]
    numbers = chosen(tmp_path, large[0], small, large[1], own=spec("image"))[:, 0]
    counts = [int(((numbers >= low) & (numbers < low + 500)).sum()) for low in (0, 1000, 2000)]
    assert counts == [10, 55, 55]
    assert sum(counts) == UNLABELLED_MOST
    assert len(np.unique(numbers)) == UNLABELLED_MOST


def test_samples_are_taken_evenly_over_the_classes_however_they_are_ordered(
    tmp_path: Path,
) -> None:
    # Every fourth sample alone, as even places of this order would be, is of one class.
    labels = np.tile(np.arange(4, dtype=np.int64), UNLABELLED_MOST)
    numbers = chosen(
        tmp_path, candidate(tmp_path, "one", numbered(labels, 0), spec("x")), own=spec("x")
    )[:, 0]
    taken = labels[numbers.astype(np.int64)]
    assert np.bincount(taken).tolist() == [UNLABELLED_MOST // 4] * 4


def test_several_inputs_take_the_names_of_the_model_at_hand(tmp_path: Path) -> None:
    # numpy.savez could not keep an input of the name "file".
    own = [spec("file", 3), spec("mask", 1, "int64")]
    other = [spec("a", 3), spec("b", 1, "int64")]
    labels = np.zeros(5, np.int64)
    a, b = np.arange(15, dtype=np.float32).reshape(5, 3), np.arange(5, dtype=np.int64)[:, None]
    arrays: dict[str, NDArray[Any]] = {"a": a, "b": b, "labels": labels}
    written = []
    for name in ("first", "second"):
        path = tmp_path / f"{name}-chosen.npz"
        request = {
            "inputs": [one.to_json() for one in own],
            "candidates": [candidate(tmp_path, name, arrays, *other)],
            "new_other_samples": str(path),
        }
        assert choose_other_samples(request) == {"models": [f"models/{name}"], "count": 5}
        written.append(path.read_bytes())
    found = read_other_samples(path).inputs
    assert {name: array.dtype.name for name, array in found.items()} == {
        "file": "float32",
        "mask": "int64",
    }
    assert np.array_equal(found["file"], a)
    assert np.array_equal(found["mask"], b)
    assert written[0] == written[1], "equal choices are equal bytes"


def test_large_samples_are_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_samples, "MOST_BYTES", 20)
    candidates = [
        candidate(tmp_path, f"m{start}", numbered(np.zeros(4, np.int64), start), spec("x"))
        for start in (0, 100, 200)
    ]
    assert len(chosen(tmp_path, *candidates, own=spec("x"))) == 2
