import json

import pytest
import yaml
from google.longrunning import operations_pb2
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1 import operation_events_pb2
from sliceandpack.slicer.v1 import models_pb2, plans_pb2

from marketctl.columns import Column, duration, ratio, size
from marketctl.output import Printer, readable
from marketctl.plain import plain
from marketctl.settings import Format
from svckit.errors import FieldViolation, InvalidArgument

LARGE = 2**53 + 1


def refused() -> InvalidArgument:
    return InvalidArgument(
        reasons.ERROR_REASON_FIELD_INVALID,
        "Two fields are wrong.",
        advice="Correct them.",
        metadata={"field": "beta"},
        violations=[FieldViolation("beta", "too large"), FieldViolation("steps", "negative")],
    )


def test_64_bit_integers_are_numbers_and_names_are_snake_case() -> None:
    model = models_pb2.Model(name="models/m", macs=LARGE)
    model.graph.size_bytes = 7
    model.inputs.add(name="x", shape=[1, LARGE])
    data = json.loads(json.dumps(plain(model)))
    assert data["macs"] == LARGE
    assert data["graph"]["size_bytes"] == 7
    assert data["inputs"][0]["shape"] == [1, LARGE]
    assert data["sample_count"] == 0


def test_a_field_that_was_not_set_is_left_out_where_that_says_something() -> None:
    recipe = plans_pb2.Recipe(beta=0.5)
    assert plain(recipe)["beta"] == 0.5
    assert "steps" not in plain(recipe)
    assert "budget_macs" not in plain(recipe)


def test_the_numbers_inside_an_operation_are_numbers_too() -> None:
    operation = operations_pb2.Operation(name="operations/o")
    metadata = operation_events_pb2.OperationMetadata(last_sequence=LARGE)
    metadata.progress.total = 3
    operation.metadata.Pack(metadata)
    data = plain(operation)["metadata"]
    assert data["last_sequence"] == LARGE
    assert data["progress"]["total"] == 3


def test_an_operation_can_be_written_as_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    operation = operations_pb2.Operation(name="operations/o")
    operation.metadata.Pack(operation_events_pb2.OperationMetadata(kind="SliceModel"))
    Printer(Format.YAML, quiet=False).one(operation, ())
    assert yaml.safe_load(capsys.readouterr().out)["metadata"]["kind"] == "SliceModel"


def test_a_list_is_an_array_in_json_and_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    models = [models_pb2.Model(name="models/a"), models_pb2.Model(name="models/b")]
    Printer(Format.JSON, quiet=False).many(models, ())
    assert [model["name"] for model in json.loads(capsys.readouterr().out)] == [
        "models/a",
        "models/b",
    ]
    Printer(Format.YAML, quiet=False).many(models, ())
    assert yaml.safe_load(capsys.readouterr().out)[1]["name"] == "models/b"


def test_an_empty_list_is_an_empty_array(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(Format.JSON, quiet=False).many([], ())
    assert json.loads(capsys.readouterr().out) == []


def test_a_table_in_a_pipe_cuts_no_name_off(capsys: pytest.CaptureFixture[str]) -> None:
    name = "models/" + "x" * 300
    columns = (Column("NAME", lambda model: model.name), Column("L", lambda model: model.licence))
    Printer(Format.TABLE, quiet=False).many([models_pb2.Model(name=name, licence="MIT")], columns)
    assert f"{name}  MIT" in capsys.readouterr().out


def test_brackets_in_a_name_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (Column("NAME", lambda model: model.display_name),)
    models = [models_pb2.Model(display_name="[red]cat[/red]")]
    Printer(Format.TABLE, quiet=False).many(models, columns)
    assert "[red]cat[/red]" in capsys.readouterr().out


def test_what_a_stranger_named_cannot_command_the_terminal() -> None:
    assert readable("cat\x1b[2J\x07\u202e\n") == "cat�[2J�� "


def test_an_error_says_what_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(Format.TABLE, quiet=True).error(refused())
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "Error: Two fields are wrong. [FIELD_INVALID]",
        "  beta: too large",
        "  steps: negative",
        "What to do: Correct them.",
    ]


def test_an_error_is_json_where_results_are(capsys: pytest.CaptureFixture[str]) -> None:
    Printer(Format.JSON, quiet=False).error(refused())
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["code"] == "INVALID_ARGUMENT"
    assert error["reason"] == "FIELD_INVALID"
    assert error["exit_code"] == 4
    assert error["violations"][1] == {"field": "steps", "description": "negative"}


def test_what_went_wrong_here_shows_no_reason_that_says_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = InvalidArgument(reasons.ERROR_REASON_UNSPECIFIED, "The disk is full.", advice="")
    Printer(Format.TABLE, quiet=True).error(error)
    assert capsys.readouterr().err == "Error: The disk is full.\n"


def test_a_piped_table_has_no_spaces_at_the_ends_of_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    columns = (Column("NAME", lambda model: model.name), Column("L", lambda model: model.licence))
    models = [
        models_pb2.Model(name="models/a", licence="MIT"),
        models_pb2.Model(name="models/long"),
    ]
    printer = Printer(Format.TABLE, quiet=False)
    printer.many(models, columns)
    printer.one(models[0], [("name", "models/a"), ("a longer title", "x")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all(line == line.rstrip() for line in lines)


def test_quiet_leaves_out_notes_and_keeps_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer(Format.TABLE, quiet=True)
    printer.note("by the way")
    printer.warn("mind this")
    assert capsys.readouterr().err == "mind this\n"


def test_figures_read_well() -> None:
    assert size(12 * 2**20 + 2**19) == "12.5 MiB"
    assert duration(125) == "2 min 05 s"
    assert ratio(26, 100) == "26.0 %"
    assert ratio(1, 0) == "–"
