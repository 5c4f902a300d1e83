"""How command lines are read, without a service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.main import get_command

from marketctl.app import app
from marketctl.names import condition, full_name, nested_name, plan_name
from marketctl.packs import labelled
from tests.helpers.command_line import marketctl

NOWHERE = "127.0.0.1:1"


def all_commands() -> Iterator[Any]:
    def below(command: Any) -> Iterator[Any]:
        for child in getattr(command, "commands", {}).values():
            yield child
            yield from below(child)

    return below(get_command(app))


@pytest.mark.parametrize("name", ["pets", "models/pets"])
def test_a_short_name_means_the_full_one(name: str) -> None:
    assert full_name("models", name) == "models/pets"


@pytest.mark.parametrize("name", ["pets/f-1", "models/pets/fragments/f-1"])
def test_a_fragment_may_be_named_by_model_and_id(name: str) -> None:
    assert nested_name("fragments", name) == "models/pets/fragments/f-1"


@pytest.mark.parametrize("name", ["p-1", "pets/p-1", "models/pets/plans/p-1"])
def test_a_plan_may_be_named_within_its_model(name: str) -> None:
    assert plan_name("models/pets", name) == "models/pets/plans/p-1"


def test_a_filter_keeps_quotes_in_their_place() -> None:
    assert condition(label='a "b" \\', licence=None) == 'label = "a \\"b\\" \\\\"'


def test_labels_of_a_pack_go_to_their_fragments() -> None:
    fragments = labelled(["pets/f-1", "boats/f-2"], ["models/boats/fragments/f-2=ship=big"])
    assert [(part.fragment, part.label) for part in fragments] == [
        ("models/pets/fragments/f-1", ""),
        ("models/boats/fragments/f-2", "ship=big"),
    ]


@pytest.mark.parametrize("label", ["pets/f-9=cat", "pets/f-1", "pets/f-1="])
def test_a_label_for_no_fragment_is_refused(label: str) -> None:
    with pytest.raises(typer.BadParameter):
        labelled(["pets/f-1"], [label])


def test_two_labels_for_one_fragment_are_refused() -> None:
    with pytest.raises(typer.BadParameter, match="'cat' and 'dog'"):
        labelled(["pets/f-1"], ["pets/f-1=cat", "models/pets/fragments/f-1=dog"])
    again = labelled(["pets/f-1"], ["pets/f-1=cat", "pets/f-1=cat"])
    assert [part.label for part in again] == ["cat"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--slicer", NOWHERE, "--timeout", "0.2", "-o", "json", "models", "list"),
        ("models", "list", "--slicer", NOWHERE, "-o", "json", "--timeout=0.2"),
        ("models", "--timeout", "0.2", f"--slicer={NOWHERE}", "list", "-ojson"),
    ],
)
def test_global_options_may_stand_anywhere(arguments: tuple[str, ...]) -> None:
    ended = marketctl(*arguments)
    assert ended.code == 6
    assert json.loads(ended.err)["error"]["reason"] == "DEADLINE_EXCEEDED"


def test_global_options_come_from_the_environment_too() -> None:
    ended = marketctl("models", "list", MARKETCTL_SLICER="nowhere", MARKETCTL_OUTPUT="json")
    assert ended.code == 2
    assert "'nowhere' is not an address" in ended.err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--slicer", "foo"), "--slicer"),
        (("--packer", "foo"), "--packer"),
        (("--triton", "127.0.0.1:0"), "--triton"),
        (("--packer", "10.0.0.1:7102"), "give --tls-ca, or --insecure"),
        (("--tls-key", __file__), "--tls-certificate and --tls-key"),
        (("--tls-key", __file__, "--tls-certificate", __file__), "--tls-ca"),
    ],
)
def test_a_wrong_global_option_is_named_as_it_is_given(
    options: tuple[str, ...], complaint: str
) -> None:
    ended = marketctl(*options, "models", "list", COLUMNS="200")
    assert ended.code == 2
    assert complaint in ended.err
    assert "tls_" not in ended.err
    assert "such as 127.0.0.1:0" not in ended.err


def test_a_service_that_does_not_answer_is_named_with_its_address() -> None:
    ended = marketctl("models", "list", "--slicer", NOWHERE)
    assert f"The slicer at {NOWHERE} cannot be reached: Connection refused." in ended.err
    assert "marketctl up" in ended.err


def test_a_service_that_does_not_answer_has_a_reason_to_branch_on() -> None:
    ended = marketctl("models", "list", "--slicer", NOWHERE, "-o", "json")
    error = json.loads(ended.err)["error"]
    assert (error["code"], error["reason"]) == ("UNAVAILABLE", "SERVICE_UNREACHABLE")
    assert error["metadata"] == {"service": "slicer", "address": NOWHERE}


def test_no_command_has_an_option_of_the_same_name_as_a_global_one() -> None:
    root = get_command(app)
    taken = {name for option in root.params for name in option.opts} - {"--help"}
    for command in all_commands():
        assert taken.isdisjoint(name for option in command.params for name in option.opts)


def test_every_command_has_a_sentence_of_help() -> None:
    assert all(command.help for command in all_commands())


def test_a_flag_asks_for_no_value_and_a_number_tells_its_limits() -> None:
    sliced = marketctl("models", "slice", "--help", COLUMNS="200").out
    submitted = marketctl("models", "submit", "--help", COLUMNS="200").out
    for option in ("--flip", "--validate-only"):
        line = next(line for line in submitted.splitlines() if option in line)
        assert "bool" not in line
    assert "GRAPH" in submitted
    for limits in ("above 0, at most 1", "0 to 10000", "1 to 64"):
        assert limits in sliced


@pytest.mark.parametrize(
    "arguments",
    [
        ("models", "list", "-o"),
        ("models", "list", "-o", "xml"),
        ("--slicer", "nonsense", "models", "list"),
        ("--slicer", "10.0.0.1:7101", "models", "list"),
        ("--triton", "10.0.0.1:8001", "models", "list"),
        ("--tls-ca", "/no/such/file", "models", "list"),
        ("models", "slice", "pets", "--beta", "0.5", "--budget-macs", "0.5"),
        ("models", "slice", "pets", "--plan", "p", "--beta", "0.5"),
        ("models", "frobnicate"),
        ("packs", "create"),
        ("predict", "harbour", "/no/such/picture.png"),
        ("deployments", "create", "harbour"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: tuple[str, ...]) -> None:
    ended = marketctl(*arguments)
    assert ended.code == 2
    assert "Error" in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "--labels"),
        (("--labels", "a,b", "--labels-file", "labels.txt"), "--labels"),
        (("--labels", "a,b", "--image", "x", "--range", "1"), "--range"),
        (("--labels", "a,b", "--image", "x", "--mean", "dark"), "--mean"),
        (("--labels", "a,b", "--range", "0,255"), "--image"),
        (("--labels", "a,b", "--text", "x"), "--text"),
        (("--labels", "a,b", "--inputs", "labels.txt"), "--inputs"),
    ],
)
def test_a_submission_that_makes_no_sense_is_not_sent(
    options: tuple[str, ...], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("graph.onnx").write_bytes(b"graph")
    Path("labels.txt").write_text("a\nb\n")
    np.savez("samples.npz", x=np.zeros((1, 2), np.float32))
    ended = marketctl("models", "submit", "graph.onnx", "--samples", "samples.npz", *options)
    assert ended.code == 2
    assert complaint in ended.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--budget-macs", "0.5", "--front", "front.png"), "several values"),
        (("--budget-macs", "0.5,0.6", "--front", "front.pdf"), "no .png"),
        (("--budget-macs", "0.5,0.6", "--front", "nowhere/front.png"), "no folder"),
        (("--budget-macs", "0.5,much"), "no list of numbers"),
        (("--budget-macs", "0.5", "--budget-bytes", "0.5"), "give one of"),
    ],
)
def test_a_front_that_cannot_be_made_is_refused_before_it_is_planned(
    options: tuple[str, ...], said: str
) -> None:
    ended = marketctl("--slicer", NOWHERE, "models", "plan", "pets", *options)
    assert ended.code == 2
    assert said in " ".join(ended.err.replace("│", " ").split())
