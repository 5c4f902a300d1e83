"""Which samples stand for what is outside of a pack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packer_svc.fusion.samples import SampleBlock
from packer_svc.jobs.class_samples import ClassReader
from packer_svc.jobs.outside import MOST_SAMPLES, outside_blocks
from svckit.input_spec import InputSpec, Tensor

INPUTS = (InputSpec("x", (), "float32", Tensor()),)


class Shelf:
    """Files of samples, three of every class, all different unless told otherwise."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = 0.0

    def model(self, labels: Sequence[str], per_class: int = 3) -> dict[str, Any]:
        """A model's samples, as a fragment of it names them."""
        count = len(labels) * per_class
        values = np.arange(count, dtype=np.float32) + self._next
        self._next += count
        path = self._folder / f"{self._next}.npz"
        np.savez(path, x=values, labels=np.arange(count) % len(labels))
        return {"samples": str(path), "model_labels": list(labels), "digest": f"d{self._next}"}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def fragment(model: dict[str, Any], label: str) -> dict[str, Any]:
    """A fragment of a class, as the job is told of it."""
    return {
        "samples": model["samples"],
        "class": model["model_labels"].index(label),
        "model_labels": model["model_labels"],
        "inputs": [one.to_json() for one in INPUTS],
        "part": {"samples_digest": model["digest"]},
    }


def inside(model: dict[str, Any], label: str) -> SampleBlock:
    with np.load(model["samples"]) as arrays:
        chosen = arrays["labels"] == model["model_labels"].index(label)
        return SampleBlock({"x": arrays["x"][chosen]}, 0, "")


def values(blocks: Sequence[SampleBlock]) -> list[float]:
    return sorted(float(value) for block in blocks for value in block.inputs["x"])


def test_the_other_classes_of_every_model_are_outside(shelf: Shelf) -> None:
    pets, boats = shelf.model(["cat", "dog", "deer"]), shelf.model(["ship", "raft"])
    asked = [fragment(pets, "cat"), fragment(pets, "dog"), fragment(boats, "ship")]
    found = outside_blocks(asked, ["cat", "dog", "ship"], [], ClassReader(INPUTS))

    assert [(block.output, len(block)) for block in found] == [(3, 3), (4, 3)]
    assert [block.key for block in found] == [f"{pets['digest']} 2", f"{boats['digest']} 1"]
    assert values(found) == [2, 5, 8, 10, 12, 14]


@pytest.mark.parametrize(
    ("other", "labels"),
    [
        ("cat", ["cat", "ship"]),
        (" Cat", ["cat", "ship"]),
        ("cat", ["feline", "ship"]),
        ("feline", ["feline", "ship"]),
    ],
    ids=["same", "written otherwise", "renamed in the pack", "as it is renamed"],
)
def test_what_another_model_calls_like_a_class_of_the_pack_is_not_outside(
    shelf: Shelf, other: str, labels: list[str]
) -> None:
    pets, boats = shelf.model(["cat", "dog"]), shelf.model(["ship", other])
    found = outside_blocks(
        [fragment(pets, "cat"), fragment(boats, "ship")], labels, [], ClassReader(INPUTS)
    )
    assert values(found) == [1, 3, 5]


def test_equal_labels_of_several_models_are_one_class(shelf: Shelf) -> None:
    pets, boats = shelf.model(["cat", "tree"]), shelf.model(["ship", "Tree"])
    found = outside_blocks(
        [fragment(pets, "cat"), fragment(boats, "ship")], ["cat", "ship"], [], ClassReader(INPUTS)
    )
    assert [block.output for block in found] == [2, 2]


def test_samples_of_the_pack_under_another_name_are_not_outside(shelf: Shelf) -> None:
    pets, boats = shelf.model(["cat", "dog"]), shelf.model(["ship", "raft"])
    again = {**pets, "model_labels": ["kitten", "puppy"]}
    asked = [fragment(pets, "cat"), fragment(boats, "ship"), fragment(again, "puppy")]
    found = outside_blocks(asked, ["cat", "ship", "puppy"], [], ClassReader(INPUTS))
    assert values(found) == [7, 9, 11]


def test_a_sample_of_the_pack_in_another_file_is_left_aside(shelf: Shelf) -> None:
    pets, boats = shelf.model(["cat", "dog"]), shelf.model(["ship", "raft"])
    with np.load(pets["samples"]) as arrays:
        mixed = np.append(arrays["x"][arrays["labels"] == 0], np.float32(99))
    np.savez(boats["samples"], x=np.append(mixed, np.float32(50)), labels=np.array([1, 1, 1, 1, 0]))
    asked = [fragment(pets, "cat"), fragment(boats, "ship")]
    found = outside_blocks(asked, ["cat", "ship"], [inside(pets, "cat")], ClassReader(INPUTS))

    assert values(found) == [1, 3, 5, 99]
    assert found[-1].key != f"{boats['digest']} 1"


def test_samples_are_spread_over_classes_where_there_are_many(shelf: Shelf) -> None:
    many = shelf.model([f"class {place}" for place in range(41)], per_class=20)
    found = outside_blocks([fragment(many, "class 7")], ["class 7"], [], ClassReader(INPUTS))

    assert {len(block) for block in found} == {MOST_SAMPLES // 40}
    assert len({block.output for block in found}) == 40


def test_more_classes_than_samples_are_thinned(shelf: Shelf) -> None:
    many = shelf.model([f"class {place}" for place in range(MOST_SAMPLES + 50)], per_class=1)
    found = outside_blocks([fragment(many, "class 7")], ["class 7"], [], ClassReader(INPUTS))
    assert sum(len(block) for block in found) == MOST_SAMPLES


def test_a_model_whose_labels_nobody_kept_has_nothing_outside(shelf: Shelf) -> None:
    pets = shelf.model(["cat", "dog"])
    assert (
        outside_blocks(
            [{**fragment(pets, "cat"), "model_labels": []}], ["cat"], [], ClassReader(INPUTS)
        )
        == []
    )


def test_where_every_class_is_in_the_pack_nothing_is_outside(shelf: Shelf) -> None:
    pets = shelf.model(["cat", "dog"])
    assert (
        outside_blocks(
            [fragment(pets, "cat"), fragment(pets, "dog")], ["cat", "dog"], [], ClassReader(INPUTS)
        )
        == []
    )
