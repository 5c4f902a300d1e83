"""Between the messages of cloning and what is kept and checked of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import json_format
from sliceandpack.packer.v1 import cloning_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from packer_svc.convert.evaluation import samples_violations
from packer_svc.convert.packs import MAX_DISPLAY_NAME, MAX_LABEL, MAX_SHOWN
from svckit.errors import FieldViolation
from svckit.names import ResourcePattern

MODEL = ResourcePattern.of(models_pb2.Model)

BUDGET: Final = 0.5
"""The share of the source's MACs that fragments may have unless another is asked for."""
MAX_CLASSES: Final = 1_000
MAX_POSITION: Final = 512
"""The longest name of a position, in characters."""


def pack_label(one: pb.ClonedClass) -> str:
    """What a pack calls a cloned class."""
    return one.pack_label or one.label


def clone_json(clone: pb.Clone) -> dict[str, Any]:
    """Returns what a row keeps of a clone: protobuf's JSON."""
    return json_format.MessageToDict(clone)


def clone_violations(request: pb.CloneClassesRequest) -> Iterator[FieldViolation]:
    """Yields every broken rule of a request."""
    for field, name in (("target", request.target), ("source", request.source)):
        if not MODEL.matches(name):
            yield FieldViolation(field, f"{name[:MAX_SHOWN]!r} is no {MODEL.pattern}")
    yield from _class_violations(request)
    if len(request.display_name) > MAX_DISPLAY_NAME:
        yield FieldViolation("display_name", f"at most {MAX_DISPLAY_NAME} characters")
    spec = request.spec
    if spec.locator not in pb.CloneLocator.values():
        yield FieldViolation("spec.locator", "no such locator")
    if not 0 <= spec.budget_macs <= 1:
        yield FieldViolation("spec.budget_macs", "it is above 0 and at most 1")
    elif spec.budget_macs and spec.locator == pb.CLONE_LOCATOR_MASKS:
        yield FieldViolation("spec.budget_macs", "masks take none")
    if len(spec.position) > MAX_POSITION or not spec.position.isprintable():
        yield FieldViolation("spec.position", f"at most {MAX_POSITION} printable characters")
    if spec.seed < 0:
        yield FieldViolation("spec.seed", "it is at least 0")
    yield from samples_violations(request.evaluation_samples, "evaluation_samples")


def _class_violations(request: pb.CloneClassesRequest) -> Iterator[FieldViolation]:
    if len(request.classes) > MAX_CLASSES:
        yield FieldViolation("classes", f"at most {MAX_CLASSES}")
    wanted = Counter(one.label for one in request.classes)
    called = Counter(pack_label(one) for one in request.classes)
    for place, one in enumerate(request.classes[:MAX_CLASSES]):
        field = f"classes[{place}]"
        if not one.label or wanted[one.label] > 1:
            yield FieldViolation(f"{field}.label", "it is given, and once only")
        for name, label in (("label", one.label), ("pack_label", one.pack_label)):
            if len(label) > MAX_LABEL or not label.isprintable():
                yield FieldViolation(f"{field}.{name}", f"at most {MAX_LABEL} printable characters")
        if called[pack_label(one)] > 1 and wanted[one.label] == 1:
            yield FieldViolation(f"{field}.pack_label", "two classes would have this label")
