"""The samples of a task: folders of pictures, and npz files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from marketctl.task_samples import TaskSamples, read_file, read_folder
from specification.spaces.canonical import SIDE
from svckit.errors import InvalidArgument
from svckit.input_spec import Image as Picture
from svckit.input_spec import InputSpec, Text
from tests.helpers.picture_files import blob_folder, save

PICTURE = InputSpec("image", (), "", Picture(False, 0.0, 1.0))


@dataclass
class Heard:
    """What was complained about."""

    warnings: list[str] = field(default_factory=list)
    unread: list[Exception] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def unreadable(self, error: Exception) -> None:
        self.unread.append(error)


def of_file(path: Path, declared: list[InputSpec] | None = None, *names: str) -> TaskSamples:
    return read_file(path, declared or [], names, Heard())


def test_a_folder_a_class_gives_labelled_pictures(tmp_path: Path) -> None:
    found = read_folder(blob_folder(tmp_path / "task", ["owl", "cat"], per_class=4), Heard())
    assert found.labels == ("cat", "owl")
    assert found.places is not None
    assert found.places.tolist() == [0] * 4 + [1] * 4
    assert found.arrays["image"].shape == (8, SIDE, SIDE, 3)
    assert found.arrays["image"].dtype == np.float32
    assert 0.0 <= found.arrays["image"].min() < 0.3
    assert 0.7 < found.arrays["image"].max() <= 1.0


def test_a_folder_of_pictures_has_no_classes(tmp_path: Path) -> None:
    folder = blob_folder(tmp_path, ["all"], per_class=5) / "all"
    found = read_folder(folder, Heard())
    assert (len(found), found.places, found.labels) == (5, None, ())


def test_pictures_of_all_sizes_and_kinds_come_together(tmp_path: Path) -> None:
    for name, picture in {
        "wide.jpg": Image.new("RGB", (900, 300), "red"),
        "tall.webp": Image.new("RGB", (9, 1200), "red"),
        "one.bmp": Image.new("RGB", (1, 1), "red"),
        "grey.png": Image.new("L", (8, 8), 128),
        "glass.png": Image.new("RGBA", (64, 64), (0, 0, 0, 0)),
    }.items():
        picture.save(tmp_path / name)
    pixels = read_folder(tmp_path, Heard()).arrays["image"]
    assert pixels.shape == (5, SIDE, SIDE, 3)
    glass, grey, one, tall, wide = pixels
    assert np.allclose(glass, 1.0)
    assert np.allclose(grey, 128 / 255)
    assert np.allclose(one, [1.0, 0.0, 0.0])
    for red in (tall, wide):
        assert np.allclose(red, [1.0, 0.0, 0.0], atol=0.05)


def test_a_broken_picture_is_left_out_and_told_of(tmp_path: Path) -> None:
    folder = blob_folder(tmp_path, ["owl", "cat"], per_class=4)
    (folder / "owl" / "0.png").write_bytes(b"\x89PNG but no more")
    heard = Heard()
    found = read_folder(folder, heard)
    assert found.places is not None
    assert found.places.tolist() == [0] * 4 + [1] * 3
    assert ["0.png" in str(error) for error in heard.unread] == [True]


def test_what_systems_hide_in_folders_is_no_class(tmp_path: Path) -> None:
    folder = blob_folder(tmp_path, ["owl"], per_class=4)
    (folder / ".thumbnails").mkdir()
    (folder / "__MACOSX").mkdir()
    (folder / ".DS_Store").write_bytes(b"\0")
    (folder / "readme.txt").write_text("owls")
    (folder / "owl" / "notes.txt").write_text("seen at night")
    heard = Heard()
    assert read_folder(folder, heard).labels == ("owl",)
    assert len(heard.warnings) == 1
    assert "passed over 1 of 5" in heard.warnings[0]


@pytest.mark.parametrize("wrong", ["nothing", "an empty class", "all broken", "beside folders"])
def test_a_folder_that_is_neither_is_refused(wrong: str, tmp_path: Path) -> None:
    if wrong != "nothing":
        blob_folder(tmp_path, ["owl"], per_class=4)
    match wrong:
        case "an empty class":
            (tmp_path / "cat").mkdir()
        case "all broken":
            (tmp_path / "cat").mkdir()
            (tmp_path / "cat" / "1.png").write_bytes(b"no picture")
        case "beside folders":
            save(tmp_path / "stray.png", np.zeros((8, 8)))
    with pytest.raises(InvalidArgument) as caught:
        read_folder(tmp_path, Heard())
    assert caught.value.reason_name == "SAMPLES_UNREADABLE"
    assert "folder of pictures for each class" in caught.value.advice


def test_a_folder_whose_name_is_no_text_is_named(tmp_path: Path) -> None:
    (blob_folder(tmp_path, ["owl", "cat"], per_class=4) / "cat").rename(tmp_path / "\udcff")
    with pytest.raises(InvalidArgument) as caught:
        read_folder(tmp_path, Heard())
    assert caught.value.reason_name == "SAMPLES_MISMATCH"
    assert r"'\udcff'" in caught.value.message


def test_of_many_samples_as_many_of_each_class_are_looked_at(tmp_path: Path) -> None:
    labels = np.array(["owl"] * 90 + ["cat"] * 10)
    np.savez(tmp_path / "s.npz", row=np.arange(100), labels=labels)
    found = of_file(tmp_path / "s.npz")
    few = found.some(40)
    assert few.arrays["row"].tolist() == [*range(20), *range(90, 100)]
    assert few.places is not None
    assert few.places.tolist() == [0] * 20 + [1] * 10
    assert few.labels == found.labels
    assert found.some(100) is found
    # Never fewer than a class needs.
    assert len(found.some(2)) == 8


def test_an_npz_may_call_its_classes_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", image=pixels(4), labels=["owl", "cat", "owl", "cat"])
    found = of_file(tmp_path / "s.npz", [PICTURE])
    assert found.labels == ("owl", "cat")
    assert found.places is not None
    assert found.places.tolist() == [0, 1, 0, 1]
    assert found.inputs[0].shape == (1, 8, 8)
    assert found.inputs[0].element_type == "float32"


def test_an_npz_may_number_its_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", image=pixels(3), labels=np.array([2, 0, 2]))
    assert of_file(tmp_path / "s.npz", [PICTURE], "a", "b", "c").labels == ("c", "a")
    assert of_file(tmp_path / "s.npz", [PICTURE]).labels == ("2", "0")


def test_an_npz_without_labels_has_no_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", points=np.ones((3, 4)))
    found = of_file(tmp_path / "s.npz")
    assert (found.places, found.labels, found.inputs[0].kind) == (None, (), "tensor")


def pixels(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 1, 8, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("arrays", "declared", "reason"),
    [
        ({"labels": np.arange(3)}, [], "SAMPLES_MISMATCH"),
        ({"image": pixels(3)}, [InputSpec("photo", (), "", PICTURE.semantics)], "SAMPLES_MISMATCH"),
        ({"image": pixels(3), "labels": np.arange(4)}, [], "SAMPLES_MISMATCH"),
        ({"image": pixels(0)}, [], "SAMPLES_MISMATCH"),
        ({"image": np.float32(1)}, [], "SAMPLES_MISMATCH"),
        ({"image": pixels(3)[:, 0, 0]}, [PICTURE], "SAMPLES_MISMATCH"),
        ({"image": pixels(3) * np.nan}, [PICTURE], "SAMPLES_MISMATCH"),
        ({"image": pixels(3) * 255}, [PICTURE], "SAMPLES_OUT_OF_RANGE"),
        ({"image": pixels(3).astype(complex)}, [], "SAMPLES_MISMATCH"),
        ({"image": pixels(2), "labels": np.array([0.5, 1])}, [], "SAMPLES_MISMATCH"),
        ({"image": pixels(2), "labels": np.array([0, 5])}, [], "SAMPLES_MISMATCH"),
        ({"image": pixels(2), "labels": np.array([0, -1])}, [], "SAMPLES_MISMATCH"),
        (
            {"words": np.ones((3, 4), np.float32)},
            [InputSpec("words", (), "", Text("sha256:" + "0" * 64, 9, 0))],
            "SAMPLES_MISMATCH",
        ),
        (
            {"words": np.full((3, 4), 9)},
            [InputSpec("words", (), "", Text("sha256:" + "0" * 64, 9, 0))],
            "SAMPLES_OUT_OF_RANGE",
        ),
        ({"row": np.full((3, 4), 1e300)}, [], "SAMPLES_OUT_OF_RANGE"),
        ({"image": pixels(2), "labels": np.array(["", "b"])}, [PICTURE], "SAMPLES_MISMATCH"),
        ({"image": pixels(2), "labels": np.array(["\x1b[2J", "b"])}, [PICTURE], "SAMPLES_MISMATCH"),
    ],
)
def test_an_npz_that_does_not_fit_is_refused(
    arrays: dict[str, Any], declared: list[InputSpec], reason: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(InvalidArgument) as caught:
        of_file(tmp_path / "s.npz", declared, "a", "b", "c")
    assert caught.value.reason_name == reason


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive"])
def test_a_file_that_is_no_npz_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "s.npz").write_bytes(data)
    with pytest.raises(InvalidArgument) as caught:
        of_file(tmp_path / "s.npz")
    assert caught.value.reason_name == "SAMPLES_UNREADABLE"
