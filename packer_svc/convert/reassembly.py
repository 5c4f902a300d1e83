"""Between `packer.v1.ReassembleModelRequest` and what a reassembly is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sliceandpack.packer.v1 import reassembly_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from packer_svc.convert.packs import MAX_DISPLAY_NAME, MAX_LABEL, MAX_SHOWN, MIN_CLASSES
from svckit.errors import FieldViolation
from svckit.names import ResourcePattern

MODEL = ResourcePattern.of(models_pb2.Model)

MAX_CLASSES = 1_000
MAX_MODELS = 48
"""From how many models blocks may be taken: every block of a stage is tried before every block of
the next, so that work grows with the square of this."""
MAX_STEPS = 10_000
BLOCKS = 4
"""How many blocks a network has where nothing is said."""
_FEWEST, _MOST = 2, 8


def reassembly_violations(request: pb.ReassembleModelRequest) -> Iterator[FieldViolation]:
    """Yields every broken rule of a request."""
    if len(request.display_name) > MAX_DISPLAY_NAME:
        yield FieldViolation("display_name", f"at most {MAX_DISPLAY_NAME} characters")
    if not MIN_CLASSES <= len(request.classes) <= MAX_CLASSES:
        yield FieldViolation("classes", f"{MIN_CLASSES} to {MAX_CLASSES}")
    for place, one in enumerate(request.classes):
        yield from _class_violations(one, f"classes[{place}]")
    if len(request.models) > MAX_MODELS:
        yield FieldViolation("models", f"at most {MAX_MODELS}")
    for place, name in enumerate(request.models):
        yield from _model_violations(name, f"models[{place}]")
        if name in request.models[:place]:
            yield FieldViolation(f"models[{place}]", f"{name[:MAX_SHOWN]!r} is there twice")
    if request.blocks and not _FEWEST <= request.blocks <= _MOST:
        yield FieldViolation("blocks", f"{_FEWEST} to {_MOST}")
    if not 0 <= request.training_steps <= MAX_STEPS:
        yield FieldViolation("training_steps", f"0 to {MAX_STEPS}")
    if request.seed < 0:
        yield FieldViolation("seed", "it is at least 0")
    for name, value in budgets_of(request.budget).items():
        if not 0 < value < math.inf:
            yield FieldViolation(f"budget.{name}", "it is finite and above 0")


def budgets_of(budget: pb.ReassemblyBudget) -> dict[str, float]:
    """Returns the budgets that are given, by the names of their fields."""
    return {field.name: float(value) for field, value in budget.ListFields()}


def _class_violations(one: pb.WantedClass, field: str) -> Iterator[FieldViolation]:
    yield from _model_violations(one.model, f"{field}.model")
    if not one.label:
        yield FieldViolation(f"{field}.label", "it is required")
    for name in ("label", "output"):
        text = getattr(one, name)
        if len(text) > MAX_LABEL or not text.isprintable():
            yield FieldViolation(f"{field}.{name}", f"at most {MAX_LABEL} printable characters")


def _model_violations(name: str, field: str) -> Iterator[FieldViolation]:
    if not MODEL.matches(name):
        yield FieldViolation(field, f"{name[:MAX_SHOWN]!r} is no {MODEL.pattern}")
