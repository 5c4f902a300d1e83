"""Between what a search finds and its messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sliceandpack.slicer.v1 import search_pb2 as pb

from slicer_svc.convert.inputs import input_violations
from specification.checks import LABEL_FORM, MOST_CLASSES, is_label
from specification.results import ClassesFound, ClassMatch, ModelMatch, ModelsFound
from svckit.errors import FieldViolation

Described = Mapping[str, tuple[str, str]]
"""Display names and licences by the models' names; models that are gone are left out."""


def task_violations(task: pb.Task) -> Iterator[FieldViolation]:
    """Yields every broken rule of a task but those of its bytes and of its artifacts' names."""
    match task.WhichOneof("told"):
        case None:
            yield FieldViolation("task", "it is a specification or samples")
        case "samples":
            yield from input_violations(task.samples.inputs, "task.samples.inputs")
            yield from _label_violations(list(task.samples.labels), "task.samples.labels")


def _label_violations(labels: list[str], path: str) -> Iterator[FieldViolation]:
    if len(labels) > MOST_CLASSES:
        yield FieldViolation(
            path, f"there are {len(labels)}, a search takes at most {MOST_CLASSES}"
        )
    if len(set(labels)) < len(labels):
        yield FieldViolation(path, "one is there twice")
    for place, label in enumerate(labels):
        if not is_label(label):
            yield FieldViolation(f"{path}[{place}]", f"a label is {LABEL_FORM}")


def encode_models(found: ModelsFound, described: Described) -> pb.SearchModelsResponse:
    """Returns the message of the models found, without those that were deleted meanwhile."""
    return pb.SearchModelsResponse(
        models=[
            _model(match, *described[match.model])
            for match in found.matches
            if match.model in described
        ],
        fits=found.fits,
        reason=found.reason,
        compared_count=found.compared,
    )


def _model(match: ModelMatch, display_name: str, licence: str) -> pb.FoundModel:
    return pb.FoundModel(
        model=match.model,
        display_name=display_name,
        licence=licence,
        score=match.score,
        distance=match.distance,
        fits=match.fits,
        reason=match.reason,
        classes=[_class(one, licence) for one in match.classes],
        excess=match.excess,
    )


def encode_classes(found: ClassesFound, described: Described) -> pb.SearchClassesResponse:
    """Returns the message of the classes found, without those that were deleted meanwhile."""
    return pb.SearchClassesResponse(
        classes=[
            pb.ClassSearch(
                label=one.user_class,
                found=[
                    _class(match, described[match.model][1])
                    for match in one.matches
                    if match.model in described
                ],
            )
            for one in found.classes
        ],
        fits=found.fits,
        reason=found.reason,
        compared_count=found.compared,
    )


def _class(match: ClassMatch, licence: str) -> pb.FoundClass:
    return pb.FoundClass(
        label=match.user_class,
        model=match.model,
        model_label=match.label_name,
        licence=licence,
        score=match.score,
        distance=match.distance,
        fits=match.fits,
        reason=match.reason,
        excess=match.excess,
    )
