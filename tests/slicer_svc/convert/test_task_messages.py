"""Which tasks a search takes."""

from __future__ import annotations

import pytest
from sliceandpack.slicer.v1 import models_pb2
from sliceandpack.slicer.v1 import search_pb2 as pb

from slicer_svc.convert.models import model_violations
from slicer_svc.convert.search import task_violations


def told(labels: list[str]) -> dict[str, str]:
    task = pb.Task(samples=pb.TaskSamples(labels=labels))
    return {one.field: one.description for one in task_violations(task)}


def test_a_task_has_at_most_so_many_classes_and_the_limit_is_told() -> None:
    assert told(list(map(str, range(1024)))) == {}
    [(field, why)] = told(list(map(str, range(1025)))).items()
    assert field == "task.samples.labels"
    assert "1025" in why
    assert "1024" in why


@pytest.mark.parametrize("label", [256 * "鷺", "two words", "🦩"])
def test_what_a_models_class_may_be_called_a_tasks_may_be(label: str) -> None:
    assert told([label, "other"]) == {}
    assert not refused_of_a_model(label)


@pytest.mark.parametrize("label", ["", " ", 257 * "a", "a\nb"])
def test_what_a_models_class_may_not_be_called_a_tasks_may_not_be(label: str) -> None:
    assert set(told([label, "other"])) == {"task.samples.labels[0]"}
    assert refused_of_a_model(label)


def refused_of_a_model(label: str) -> bool:
    model = models_pb2.Model(labels=[label, "other"])
    return "model.labels[0]" in {one.field for one in model_violations(model)}
