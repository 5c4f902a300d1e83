"""From a folder of a few pictures to a served model, in one command."""

from __future__ import annotations

from pathlib import Path

import pytest
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from svckit.errors import DeadlineExceeded
from tests.helpers.command_line import Ended, marketctl
from tests.helpers.digit_models import unseen_digits
from tests.helpers.picture_files import save
from tests.helpers.stocked import Stocked

CLASSES = {"null": 0, "drei": 3, "sechs": 6}
"""What somebody calls three digits, each known to another model."""

PER_CLASS = 10
ASKED = 20
"""Pictures of each class that the search has not seen either."""


def at(stocked: Stocked, *arguments: object) -> Ended:
    market = stocked.market
    addresses = ("--slicer", market.slicer.address, "--packer", market.packer.address)
    return marketctl(*addresses, "--triton", market.triton_grpc, "-o", "json", *arguments)


def write(folder: Path, digit: int, numbers: range) -> None:
    """Writes pictures of a digit, five times as large as any model takes."""
    digits = unseen_digits([digit]).images[numbers.start : numbers.stop]
    folder.mkdir(parents=True)
    for number, pixels in zip(numbers, digits, strict=True):
        save(folder / f"{number}.png", pixels[0])


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    for name, digit in CLASSES.items():
        write(folder / name, digit, range(PER_CLASS))
    return folder


@pytest.fixture(scope="module")
def served(stocked: Stocked, task: Path) -> Ended:
    return at(stocked, "search", "--samples", task, "--pack", "ziffern", "--deploy", "ziffern")


def test_each_class_is_found_in_the_model_that_knows_it(served: Ended) -> None:
    assert served.code == 0, served.err
    chosen = {one["label"]: one["found"][0] for one in served.data["found"]["classes"]}
    assert {label: (one["model"], one["model_label"]) for label, one in chosen.items()} == {
        "null": ("models/low", "zero"),
        "drei": ("models/middle", "three"),
        "sechs": ("models/high", "six"),
    }


def test_the_pack_calls_its_classes_as_the_folders_are_called(served: Ended) -> None:
    assert sorted(served.data["pack"]["labels"]) == sorted(CLASSES)
    assert served.data["deployment"]["pack"] == "packs/ziffern"
    assert served.data["deployment"]["state"] == "DEPLOYMENT_STATE_SERVING"


def test_progress_is_told_step_by_step(served: Ended) -> None:
    for step in ("Planning low", "Slicing high", "Packing ziffern", "Deploying ziffern"):
        assert f"{step}: succeeded" in served.err


@pytest.mark.parametrize("name", CLASSES)
def test_the_served_model_tells_pictures_apart(
    name: str, served: Ended, stocked: Stocked, tmp_path: Path
) -> None:
    write(tmp_path / name, CLASSES[name], range(PER_CLASS, PER_CLASS + ASKED))
    told = at(stocked, "predict", "ziffern", tmp_path / name).data
    right = [one["predictions"][0]["label"] == name for one in told]
    assert len(right) == ASKED
    assert sum(right) >= 0.9 * ASKED


def test_names_that_are_taken_are_refused_before_anything_is_sliced(
    stocked: Stocked, served: Ended, task: Path
) -> None:
    again = at(stocked, "search", "--samples", task, "--pack", "ziffern")
    assert again.code == 5
    assert '"reason": "RESOURCE_EXISTS"' in again.err
    assert "marketctl deployments create NAME --pack packs/ziffern" in again.err
    assert "Planning" not in again.err
    other = at(stocked, "search", "--samples", task, "--pack", "other", "--deploy", "ziffern")
    assert other.code == 5
    assert "deployments/ziffern" in other.err


def test_who_stops_before_the_pack_was_begun_hears_that_none_was_made(
    stocked: Stocked, served: Ended, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gives_up(*_: object) -> None:
        raise DeadlineExceeded(reasons.ERROR_REASON_DEADLINE_EXCEEDED, "Too long.", advice="Wait.")

    monkeypatch.setattr("svckit.clients.operations.Operations.wait", gives_up)
    ended = at(stocked, "search", "--samples", task, "--pack", "later")
    assert ended.code == 6
    assert "No pack was made yet" in ended.err
    assert at(stocked, "packs", "show", "later").code == 3


def test_a_digit_that_no_model_knows_is_not_served(
    stocked: Stocked, served: Ended, task: Path, tmp_path: Path
) -> None:
    write(tmp_path / "neun", 9, range(PER_CLASS))
    write(tmp_path / "null", 0, range(PER_CLASS))
    ended = at(stocked, "search", "--samples", tmp_path, "--pack", "neun")
    assert ended.code == 3
    assert '"reason": "NOTHING_FITS"' in ended.err
    assert at(stocked, "packs", "show", "neun").code == 3
