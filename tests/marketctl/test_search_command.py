"""Specifying samples on one's own machine, and searching by them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from specification.codec import from_bytes
from tests.helpers.command_line import Ended, marketctl
from tests.helpers.picture_files import blob_folder
from tests.helpers.slicer import slicer_process
from tests.helpers.submissions import CNN, blobs, npz, submission

NOWHERE = "127.0.0.1:1"
NAMES = ("a-north", "b-east", "c-west")


@pytest.fixture(scope="module")
def slicer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A slicer with a model of three blobs."""
    folder = tmp_path_factory.mktemp("slicer")
    with slicer_process(folder) as process:
        sent = submission(CNN, classes=3, per_class=16)
        (folder / "blobs.onnx").write_bytes(sent.graph)
        (folder / "blobs.npz").write_bytes(sent.samples)
        files = (folder / "blobs.onnx", "--samples", folder / "blobs.npz")
        options = ("--id", "blobs", "--labels", ",".join(sent.labels), "--image", "x")
        ended = at(process.address, "models", "submit", *files, *options, "--licence", "MIT")
        assert ended.code == 0, ended.err
        yield process.address


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of pictures of three classes."""
    return blob_folder(tmp_path / "pictures", NAMES)


def at(slicer: str, *arguments: object) -> Ended:
    return marketctl("--slicer", slicer, "--packer", NOWHERE, "-o", "json", *arguments)


def test_samples_are_specified_without_any_service(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "task.spec"
    ended = at(NOWHERE, "specify", "--samples", folder, "--out", out)
    assert ended.code == 0, ended.err
    assert ended.data["labels"] == list(NAMES)
    assert ended.data["sample_count"] == 36
    assert ended.data["point_count"] <= 9
    assert ended.data["nearest_distance"] >= ended.data["least_distance"] > 0
    assert from_bytes(out.read_bytes()).labels == NAMES
    assert ended.data["size_bytes"] == out.stat().st_size


def test_a_person_reads_what_a_specification_holds(folder: Path, tmp_path: Path) -> None:
    ended = marketctl("specify", "--samples", folder, "--out", tmp_path / "task.spec")
    assert ended.code == 0
    assert re.search(r"classes +a-north, b-east, c-west", ended.out)
    assert re.search(r"samples +36", ended.out)


def test_a_specification_of_an_npz_says_what_its_inputs_mean(tmp_path: Path) -> None:
    (tmp_path / "task.npz").write_bytes(npz(blobs(3, 12, 7)))
    options = ("--samples", tmp_path / "task.npz", "--labels", "x,y,z", "--image", "x")
    ended = at(NOWHERE, "specify", *options, "--out", tmp_path / "task.spec")
    assert ended.code == 0, ended.err
    assert ended.data["labels"] == ["x", "y", "z"]
    assert ended.data["space"] == "image"


def test_noise_is_drawn_anew_and_stated(folder: Path, tmp_path: Path) -> None:
    made = []
    for name in ("one.spec", "two.spec"):
        options = ("--samples", folder, "--out", tmp_path / name, "--epsilon", "8")
        ended = at(NOWHERE, "specify", *options)
        assert ended.code == 0, ended.err
        assert ended.data["privacy"]["epsilon"] == 8.0
        assert ended.data["privacy"]["delta"] == 1e-5
        made.append((tmp_path / name).read_bytes())
    assert made[0] != made[1]
    shown = marketctl("specify", "--samples", folder, "--out", tmp_path / "x", "--epsilon", "8")
    assert "ε = 8" in shown.out
    assert "nearest" not in shown.out


@pytest.mark.parametrize("more", [("--epsilon", "0"), ("--epsilon", "1", "--delta", "2")])
def test_noise_that_is_none_is_refused(more: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    ended = at(NOWHERE, "specify", "--samples", folder, "--out", tmp_path / "x", *more)
    assert ended.code == 4
    assert not (tmp_path / "x").exists()


def test_another_file_is_replaced_only_when_told_to(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "task.spec"
    out.write_bytes(b"my own work")
    refused = at(NOWHERE, "specify", "--samples", folder, "--out", out)
    assert refused.code == 5
    assert out.read_bytes() == b"my own work"
    assert at(NOWHERE, "specify", "--samples", folder, "--out", out, "--force").code == 0
    assert at(NOWHERE, "specify", "--samples", folder, "--out", out).code == 0


def test_a_table_tells_for_each_class_who_knows_it(slicer: str, folder: Path) -> None:
    ended = marketctl("--slicer", slicer, "search", "--samples", folder)
    assert ended.code == 0, ended.err
    for name, place in zip(NAMES, range(3), strict=True):
        assert re.search(rf"{name} +models/blobs +blob-{place} +0\.\d+ +yes", ended.out)


def test_a_file_finds_what_its_samples_find(slicer: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "task.spec"
    assert at(NOWHERE, "specify", "--samples", folder, "--out", out).code == 0
    found = at(slicer, "search", "--specification", out)
    assert found.code == 0, found.err
    assert found.data == at(slicer, "search", "--samples", folder).data
    assert [one["label"] for one in found.data["classes"]] == list(NAMES)


def test_models_for_the_whole_task_are_told_too(slicer: str, folder: Path) -> None:
    found = at(slicer, "search", "--models", "--samples", folder).data
    assert [one["model"] for one in found["models"]] == ["models/blobs"]
    assert len(found["models"][0]["classes"]) == 3
    unlabelled = at(slicer, "search", "--samples", folder / "a-north")
    assert [one["model"] for one in unlabelled.data["models"]] == ["models/blobs"]


def test_a_licence_that_no_model_has_finds_nothing(slicer: str, folder: Path) -> None:
    assert at(slicer, "search", "--samples", folder, "--licence", "MIT").code == 0
    ended = at(slicer, "search", "--samples", folder, "--licence", "Apache-2.0")
    assert ended.code == 3
    assert '"reason": "NOTHING_FITS"' in ended.err
    assert ended.data["compared_count"] == 0


def test_what_no_model_knows_ends_with_a_code_of_its_own(slicer: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((12, 16, 16, 3)).astype(np.float32)
    np.savez(tmp_path / "noise.npz", noise=noise, labels=["snow"] * 12)
    options = ("--samples", tmp_path / "noise.npz", "--image", "noise", "--layout", "nhwc")
    ended = at(slicer, "search", *options)
    assert ended.code == 3
    assert '"reason": "NOTHING_FITS"' in ended.err
    assert '"labels": "snow"' in ended.err
    assert not ended.data["fits"]


def test_nothing_is_made_where_a_class_fits_nothing(slicer: str, tmp_path: Path) -> None:
    arrays = blobs(3, 12, 7)
    noise = np.random.default_rng(0).random((12, 1, 8, 8)).astype(np.float32)
    pictures = np.concatenate([arrays["x"], noise])
    labels = [NAMES[place] for place in arrays["labels"]] + ["snow"] * 12
    np.savez(tmp_path / "task.npz", x=pictures, labels=labels)
    options = ("--samples", tmp_path / "task.npz", "--image", "x")
    # The packer is away: it is not even asked.
    ended = at(slicer, "search", *options, "--pack", "some", "--deploy", "some")
    assert ended.code == 3
    assert '"reason": "NOTHING_FITS"' in ended.err
    assert "snow" in ended.err
    assert list(ended.data) == ["found"]
    assert at(slicer, "fragments", "list").data == []


def test_a_broken_picture_among_good_ones_counts_for_nothing(slicer: str, folder: Path) -> None:
    (folder / "a-north" / "0.png").write_bytes(b"no picture")
    ended = at(slicer, "search", "--samples", folder)
    assert ended.code == 0
    assert "Left out one picture" in ended.err
    assert "0.png" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("--samples", "{folder}", "--specification", "{file}"), 2),
        (("--samples", "{folder}", "--deploy", "d"), 2),
        (("--samples", "{folder}", "--models", "--pack", "p"), 2),
        (("--samples", "{folder}", "--limit", "0"), 2),
        (("--samples", "{folder}", "--labels", "a,b"), 2),
        (("--samples", "{folder}", "--image", "x"), 2),
        (("--samples", "/there/is/none"), 2),
        (("--specification", "{file}"), 4),
        (("--samples", "{few}"), 4),
        (("--samples", "{empty}"), 4),
        (("--samples", "{folder}/a-north", "--pack", "p"), 2),
        (("--samples", "{alone}", "--pack", "p"), 2),
        (("--samples", "{folder}", "--pack", "Two Words"), 2),
        (("--samples", "{folder}", "--pack", "p", "--deploy", "Upper"), 2),
    ],
)
def test_what_cannot_be_searched_by_is_refused(
    arguments: tuple[str, ...], code: int, slicer: str, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"no specification")
    (tmp_path / "empty").mkdir()
    blob_folder(tmp_path / "few", NAMES, per_class=1)
    blob_folder(tmp_path / "alone", NAMES[:1])
    names = ("file", "empty", "few", "alone")
    paths = {name: tmp_path / name for name in names} | {"folder": folder}
    ended = at(slicer, "search", *(one.format(**paths) for one in arguments))
    assert ended.code == code, ended.err
    assert ended.out == ""


def test_one_picture_a_class_is_too_few_and_says_how_many_are_needed(
    slicer: str, tmp_path: Path
) -> None:
    ended = at(slicer, "search", "--samples", blob_folder(tmp_path / "few", NAMES, per_class=1))
    assert '"reason": "SPECIFICATION_TOO_FEW_SAMPLES"' in ended.err
    assert "at least 4" in ended.err


def test_a_models_parts_can_be_downloaded(slicer: str, tmp_path: Path) -> None:
    shown = at(slicer, "models", "show", "blobs").data
    for part, artifact in (
        ("graph", shown["graph"]),
        ("samples", shown["samples"]),
        ("specification", shown["specification"]["artifact"]),
    ):
        got = at(slicer, "models", "download", "blobs", "--part", part, "--to", f"{tmp_path}/").data
        assert got["name"] == artifact["name"]
    assert from_bytes((tmp_path / "blobs.spec").read_bytes()).labels == tuple(shown["labels"])
    ended = marketctl("--slicer", slicer, "models", "show", "blobs")
    assert re.search(r"found by +\d+ points \(image\)", ended.out)
