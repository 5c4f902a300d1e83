"""Fronts and predicted times, as the command line shows them, against a slicer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.command_line import Ended, marketctl
from tests.helpers.perceptrons import LABELS, submission
from tests.helpers.slicer import slicer_process


@pytest.fixture(scope="module")
def slicer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with slicer_process(tmp_path_factory.mktemp("slicer")) as process:
        yield process.address


@pytest.fixture(scope="module")
def pets(slicer: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a model that was submitted."""
    files = submission(tmp_path_factory.mktemp("files"))
    given = (files.graph, "--samples", files.samples, "--labels", ",".join(LABELS))
    ended = at(slicer, "models", "submit", *given, "--id", "pets")
    assert ended.code == 0, ended.err
    return str(ended.data["name"])


def at(slicer: str, *arguments: object) -> Ended:
    return marketctl("--slicer", slicer, "-o", "json", *arguments)


def test_several_values_of_a_budget_give_a_front_whose_plans_can_be_followed(
    slicer: str, pets: str, tmp_path: Path
) -> None:
    drawn = tmp_path / "front.png"
    values = ("--budget-params", "0.9,0.7", "--budget-params", "0.8", "--block", "1")
    plans = at(slicer, "models", "plan", pets, *values, "--front", drawn).data
    assert [plan["recipe"]["budget_parameters"] for plan in plans] == [0.9, 0.7, 0.8]
    shares = [plan["parameters_after"] / plan["parameters_before"] for plan in plans]
    assert shares[0] > shares[2] > shares[1]
    with Image.open(drawn) as picture:
        assert picture.format == "PNG"
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 2
    name = plans[1]["name"].rpartition("/")[2]
    (owl,) = at(slicer, "models", "slice", "pets", "--plan", name, "--class", "owl").data
    assert owl["parameters"] == plans[1]["parameters_after"]


def test_a_front_is_a_table_for_people(slicer: str, pets: str) -> None:
    ended = marketctl("--slicer", slicer, "models", "plan", "pets", "--budget-macs", "0.9,0.8")
    assert ended.code == 0
    heads, *rows = ended.out.splitlines()
    assert heads.split() == ["BUDGET", "PLAN", "PARAMETERS", "MACS", "BYTES", "ERROR²"]
    assert [row.split()[0] for row in rows] == ["0.9", "0.8"]


def test_a_budget_that_cannot_be_reached_leaves_the_others_to_the_front(
    slicer: str, pets: str, tmp_path: Path
) -> None:
    drawn = tmp_path / "front.png"
    ended = at(slicer, "models", "plan", pets, "--budget-macs", "1e-6,0.8,0.9", "--front", drawn)
    assert ended.code == 4
    assert "BUDGET_UNREACHABLE" in ended.err
    assert [plan["recipe"]["budget_macs"] for plan in ended.data] == [0.8, 0.9]
    assert drawn.is_file()


def test_a_front_with_a_wrong_value_is_refused_before_any_plan_is_made(
    slicer: str, pets: str
) -> None:
    before = at(slicer, "plans", "list", "pets").data
    ended = at(slicer, "models", "plan", pets, "--budget-macs", "0.8,1.5")
    assert ended.code == 4
    assert "FIELD_INVALID" in ended.err
    assert at(slicer, "plans", "list", "pets").data == before


def test_a_plan_tells_the_time_where_it_is_asked_for(slicer: str, pets: str) -> None:
    plan = ("models", "plan", "pets", "--budget-latency", "1.0")
    assert at(slicer, *plan).data["latency"]["before_ms"] > 0
    ended = marketctl("--slicer", slicer, *plan)
    assert "predicted for one thread of" in ended.out
