"""The command line against a slicer in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import onnx
import pytest
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from typer.testing import CliRunner

from marketctl.app import app
from svckit.errors import DeadlineExceeded
from tests.helpers.command_line import Ended, marketctl
from tests.helpers.perceptrons import (
    LABELS,
    Submission,
    classifier,
    submission,
)
from tests.helpers.slicer import slicer_process

NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def slicer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with slicer_process(tmp_path_factory.mktemp("slicer")) as process:
        yield process.address


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Submission:
    return submission(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def pets(slicer: str, files: Submission) -> str:
    """The name of a model that was submitted."""
    ended = submit(slicer, files.graph, files.samples, "--id", "pets", "--licence", "MIT")
    assert ended.code == 0, ended.err
    return str(ended.data["name"])


@pytest.fixture(scope="module")
def fragment(slicer: str, pets: str) -> str:
    """The name of a fragment of it, of the class "dog"."""
    ended = at(slicer, "models", "slice", pets, "--class", "dog", "--beta", "0.5")
    assert ended.code == 0, ended.err
    return str(ended.data[0]["name"])


def at(slicer: str, *arguments: object) -> Ended:
    return marketctl("--slicer", slicer, "--packer", NOWHERE, "-o", "json", *arguments)


def submit(slicer: str, graph: Path, samples: Path, *more: object) -> Ended:
    labels = () if "--labels" in more else ("--labels", ",".join(LABELS))
    return at(slicer, "models", "submit", graph, "--samples", samples, *labels, *more)


def test_a_submitted_model_is_listed_and_shown(slicer: str, pets: str) -> None:
    shown = at(slicer, "models", "show", "pets").data
    assert shown["labels"] == list(LABELS)
    assert shown["sample_accuracy"] == 1.0
    assert shown["inputs"][0]["shape"] == [6]
    assert shown in at(slicer, "models", "list").data
    assert at(slicer, "models", "list", "--licence", "MIT").data == [shown]
    assert at(slicer, "models", "list", "--label", "horse").data == []


def test_a_person_sees_a_table_and_the_progress_beside_it(slicer: str, pets: str) -> None:
    ended = marketctl("--slicer", slicer, "models", "plan", "pets", "--budget-params", "0.6")
    assert ended.code == 0
    assert "Planning pets: running" in ended.err
    assert "Layers" in ended.out
    assert "fc0" in ended.out
    assert "Kept whole" in ended.out
    assert "Planning" not in ended.out


def test_quiet_shows_the_result_alone(slicer: str, pets: str) -> None:
    ended = at(slicer, "models", "plan", "pets", "--quiet")
    assert ended.code == 0
    assert ended.err == ""
    assert ended.data["recipe"]["beta"] == 0.5


def test_a_plan_can_be_found_again_followed_and_deleted(slicer: str, pets: str) -> None:
    plan = at(slicer, "models", "plan", pets, "--beta", "0.7").data
    name = plan["name"].rpartition("/")[2]
    assert at(slicer, "plans", "show", f"pets/{name}").data == plan
    assert plan["name"] in [found["name"] for found in at(slicer, "plans", "list", "pets").data]
    sliced = at(slicer, "models", "slice", "pets", "--plan", name, "--class", "owl").data
    assert [found["plan"] for found in sliced] == [plan["name"]]
    assert at(slicer, "plans", "delete", plan["name"]).data == {"name": plan["name"]}
    assert at(slicer, "plans", "show", f"pets/{name}").code == 3


def test_classes_are_cut_together_where_asked(slicer: str, pets: str) -> None:
    wanted = ("--joint", "--class", "dog", "--class", "cat", "--beta", "0.5")
    sliced = at(slicer, "models", "slice", pets, *wanted).data
    assert [found["label"] for found in sliced] == ["dog", "cat"]
    assert len({found["graph"]["name"] for found in sliced}) == 1
    assert all(set(found["joint_labels"]) == {"cat", "dog"} for found in sliced)
    ended = marketctl("--slicer", slicer, "fragments", "show", sliced[0]["name"])
    assert re.search(r"cut together +cat, dog|cut together +dog, cat", ended.out)


def test_slicing_takes_one_value_of_a_budget(slicer: str) -> None:
    ended = at(slicer, "models", "slice", "pets", "--budget-macs", "0.5,0.6")
    assert ended.code == 2
    assert "one value" in ended.err


def test_an_unknown_class_is_refused_before_a_plan_is_made_for_it(slicer: str, pets: str) -> None:
    before = at(slicer, "plans", "list", "pets").data
    ended = at(slicer, "models", "slice", pets, "--class", "unicorn", "--beta", "0.61")

    assert ended.code == 4
    assert '"reason": "CLASS_UNKNOWN"' in ended.err
    assert at(slicer, "plans", "list", "pets").data == before


def test_a_fragment_can_be_found_and_downloaded(slicer: str, fragment: str, tmp_path: Path) -> None:
    shown = at(slicer, "fragments", "show", fragment).data
    assert shown["label"] == "dog"
    listed = at(slicer, "fragments", "list", "pets", "--label", "dog", "--plan", shown["plan"]).data
    assert [found["name"] for found in listed] == [fragment]
    got = at(slicer, "fragments", "download", fragment, "--to", tmp_path / "dog.onnx").data
    assert got["size_bytes"] == Path(got["path"]).stat().st_size
    graph = onnx.load(got["path"]).graph
    assert {output.name for output in graph.output} == {"features", "scores"}


def test_a_download_needs_its_folder_to_be_there(
    slicer: str, fragment: str, tmp_path: Path
) -> None:
    missing = tmp_path / "missing" / "dog.onnx"
    assert at(slicer, "fragments", "download", fragment, "--to", missing).code == 2


def test_a_download_makes_the_folder_that_is_asked_for(
    slicer: str, fragment: str, tmp_path: Path
) -> None:
    got = at(slicer, "fragments", "download", fragment, "--to", f"{tmp_path}/new/").data
    assert Path(got["path"]).parent == tmp_path / "new"
    assert Path(got["path"]).is_file()


def test_a_download_replaces_other_content_only_when_told_to(
    slicer: str, fragment: str, tmp_path: Path
) -> None:
    path = tmp_path / "dog.onnx"
    path.write_bytes(b"my own work")
    refused = at(slicer, "fragments", "download", fragment, "--to", path)
    assert refused.code == 5
    assert "--force" in refused.err
    assert path.read_bytes() == b"my own work"
    assert at(slicer, "fragments", "download", fragment, "--to", path, "--force").code == 0
    onnx.load(path)
    again = at(slicer, "fragments", "download", fragment, "--to", path)
    assert again.code == 0
    assert "there already" in again.err


def test_all_fragments_of_all_models_are_listed(slicer: str, fragment: str) -> None:
    assert fragment in [found["name"] for found in at(slicer, "fragments", "list").data]


def test_weights_in_a_file_of_their_own_are_sent_along(
    slicer: str, files: Submission, tmp_path: Path
) -> None:
    graph = tmp_path / "dynamo.onnx"
    onnx.save(
        onnx.load(files.graph),
        graph,
        save_as_external_data=True,
        location="dynamo.onnx.data",
        size_threshold=0,
    )
    ended = submit(slicer, graph, files.samples, "--id", "dynamo")
    assert ended.code == 0, ended.err
    assert ended.data["sample_accuracy"] == 1.0


def test_labels_may_come_from_a_file(slicer: str, files: Submission, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a, b\nc\nd\n\n")
    options = ("--labels-file", labels, "--validate-only")
    ended = at(slicer, "models", "submit", files.graph, "--samples", files.samples, *options)
    assert ended.code == 0, ended.err
    assert ended.data["labels"] == ["a, b", "c", "d"]


def test_validating_looks_at_the_request_alone_and_says_so(slicer: str, tmp_path: Path) -> None:
    graph, samples = tmp_path / "graph.onnx", tmp_path / "samples.npz"
    onnx.save(classifier(7), graph)
    samples.write_bytes(b"no samples that anybody could read")
    ended = submit(slicer, graph, samples, "--id", "thought", "--validate-only", "--quiet")
    assert ended.code == 0
    assert "neither sent nor looked into" in ended.err
    assert at(slicer, "models", "show", "thought").code == 3
    with grpc.insecure_channel(slicer) as channel:
        request = artifacts_pb2.QueryWriteStatusRequest(name=ended.data["samples"]["name"])
        status = artifacts_pb2_grpc.ArtifactsStub(channel).QueryWriteStatus(request)
    assert not status.complete
    assert status.committed_size == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [(("--labels", "cat,dog,cat"), "LABELS_DUPLICATE"), (("--id", "pets"), "RESOURCE_EXISTS")],
)
def test_validating_refuses_a_malformed_request(
    change: tuple[str, ...], reason: str, slicer: str, pets: str, tmp_path: Path
) -> None:
    graph, samples = tmp_path / "graph.onnx", tmp_path / "samples.npz"
    onnx.save(classifier(8), graph)
    samples.write_bytes(b"other bytes")
    ended = submit(slicer, graph, samples, "--validate-only", *change)
    assert ended.code in (4, 5)
    assert f'"reason": "{reason}"' in ended.err


def test_deleting_a_model_takes_it_away(slicer: str, files: Submission) -> None:
    assert submit(slicer, files.graph, files.samples, "--id", "brief").code == 0
    assert at(slicer, "models", "delete", "brief").data == {"name": "models/brief"}
    assert at(slicer, "models", "delete", "brief").code == 3


@pytest.mark.parametrize(
    ("change", "reason", "code"),
    [
        (("--labels", "cat,dog"), "LABELS_MISMATCH", 4),
        (("--labels", "cat,dog,cat"), "LABELS_DUPLICATE", 4),
        (("--id", "Not An Id"), "FIELD_INVALID", 4),
        (("--id", "pets"), "RESOURCE_EXISTS", 5),
    ],
)
def test_a_refused_submission_says_why(
    change: tuple[str, ...], reason: str, code: int, slicer: str, pets: str, files: Submission
) -> None:
    ended = submit(slicer, files.graph, files.samples, *change)
    assert ended.code == code
    assert f'"reason": "{reason}"' in ended.err
    assert ended.out == ""


def test_a_graph_that_is_none_is_refused(slicer: str, files: Submission, tmp_path: Path) -> None:
    graph = tmp_path / "holiday.jpg"
    graph.write_bytes(b"\xff\xd8\xff no graph")
    ended = submit(slicer, graph, files.samples)
    assert ended.code == 4
    assert '"reason": "GRAPH_NOT_ONNX"' in ended.err


def test_a_model_that_guesses_is_refused(slicer: str, files: Submission, tmp_path: Path) -> None:
    graph = tmp_path / "other.onnx"
    onnx.save(classifier(99), graph)
    samples = dict(np.load(files.samples))
    samples["labels"] = np.roll(samples["labels"], 12)
    np.savez(tmp_path / "rolled.npz", **samples)
    ended = submit(slicer, files.graph, tmp_path / "rolled.npz")
    assert ended.code == 4
    assert '"reason": "MODEL_AT_CHANCE"' in ended.err


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("models", "show", "unicorns"), 3),
        (("models", "show", "models/a/b"), 4),
        (("models", "slice", "pets", "--class", "horse"), 4),
        (("models", "plan", "pets", "--beta", "7"), 4),
        (("fragments", "show", "pets/none"), 3),
        (("operations", "list", "--packer", "{slicer}", "--state", "bored"), 4),
    ],
)
def test_a_wrong_name_or_number_ends_with_the_code_of_its_kind(
    arguments: tuple[str, ...], code: int, slicer: str, pets: str
) -> None:
    ended = at(slicer, *(argument.format(slicer=slicer) for argument in arguments))
    assert ended.code == code, ended.err
    assert '"advice": "' in ended.err


def test_operations_are_found_though_the_packer_is_away(slicer: str, pets: str) -> None:
    ended = at(slicer, "operations", "list", "--state", "succeeded", "--kind", "CreateModel")
    assert ended.code == 0
    assert "Without those of the packer" in ended.err
    name = next(o["name"] for o in ended.data if o["metadata"]["target"] == pets)
    assert at(slicer, "operations", "show", name).data["response"]["name"] == pets
    watched = at(slicer, "operations", "watch", name.removeprefix("operations/"))
    assert watched.data["done"] is True
    cancelled = marketctl("--slicer", slicer, "operations", "cancel", name)
    assert cancelled.code == 0
    assert "is done already (succeeded)" in cancelled.err


def test_watching_a_failed_operation_fails_as_it_did(slicer: str, files: Submission) -> None:
    # Both services are the slicer, so that none is away; every operation is there twice.
    submit(slicer, files.graph, files.samples, "--labels", "cat,dog")
    both = marketctl("--slicer", slicer, "--packer", slicer, "operations", "list", "-o", "json")
    failed = next(o["name"] for o in both.data if o["metadata"]["state"] == "STATE_FAILED")
    assert at(slicer, "operations", "watch", failed).code == 4
    assert at(slicer, "operations", "show", failed).code == 0


def test_ctrl_c_leaves_the_operation_alone_and_says_how_to_go_on(slicer: str, pets: str) -> None:
    command = [sys.executable, "-m", "marketctl", "--slicer", slicer, "--packer", NOWHERE]
    command += ["models", "slice", "pets", "--method", "rate", "--steps", "10000"]
    # Tests that a shell runs in its background inherit, and hand on, that Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stderr is not None
    with process.stderr as stream:
        for line in stream:
            if line.startswith("Slicing pets: running"):
                break
        os.kill(process.pid, signal.SIGINT)
        rest = stream.read()
    assert process.wait(30) == 130
    name = rest.strip().rpartition(" ")[2]
    assert f"marketctl operations watch {name}" in rest
    assert at(slicer, "operations", "show", name).data["done"] is False
    assert at(slicer, "operations", "cancel", name).code == 0
    assert at(slicer, "operations", "watch", name).code == 8


def test_who_stops_before_slicing_began_hears_that_no_slice_will_follow(
    slicer: str, pets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gives_up(*_: object) -> None:
        raise DeadlineExceeded(reasons.ERROR_REASON_DEADLINE_EXCEEDED, "Too long.", advice="Wait.")

    monkeypatch.setattr("svckit.clients.operations.Operations.wait", gives_up)
    ended = at(slicer, "models", "slice", "pets", "--class", "dog", "--beta", "0.33")
    assert ended.code == 6
    assert "Slicing has not begun" in ended.err
    assert "marketctl models slice pets --plan PLAN --class dog" in ended.err


def completed(slicer: str, word: str) -> list[str]:
    """What bash would offer for the last word of a command line."""
    words = {"COMP_WORDS": f"marketctl --slicer {slicer} models show {word}", "COMP_CWORD": "5"}
    environment = {"_MARKETCTL_COMPLETE": "complete_bash", **words}
    return CliRunner(env=environment).invoke(app, [], prog_name="marketctl").stdout.split()


def test_a_shell_completes_the_names_of_models(slicer: str, pets: str) -> None:
    assert completed(slicer, "pe") == ["pets"]
    assert completed(slicer, "models/pe") == [pets]
    assert completed(slicer, "x") == []


def test_a_shell_completes_nothing_where_nobody_answers() -> None:
    assert completed(NOWHERE, "pe") == []
