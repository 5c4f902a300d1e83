"""Origins sliced by the library functions that the slicer calls."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from benchmarks.paper.sizes import Size, size_of
from benchmarks.paper.storage import key_of, save_json, source_of
from onnxgraph.serialise import to_bytes
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.fragments import slice_classes
from slicer_svc.slicing.plan import Plan
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.progress import Progress
from slicer_svc.slicing.recipe import Adaptation, Criterion, Method, Recipe
from slicer_svc.slicing.samples import Samples

CODE = ("slicer_svc/slicing", "onnxgraph")
"""What curves are measured by."""


@dataclass(frozen=True, eq=False)
class Sliceable:
    """A model with what it is sliced on.

    Attributes:
        model: In normal form.
        samples: k of each of its classes.
        augmentation: What may be done to them.
    """

    model: ir.Model
    samples: Samples
    augmentation: Augmentation


@dataclass(frozen=True, eq=False)
class Piece:
    """A fragment.

    Attributes:
        graph: The ONNX file.
        kept: Kept units by group, sorted.
        feature_error: Relative squared error of its repaired features on the samples.
    """

    graph: bytes
    kept: Mapping[str, NDArray[np.int64]]
    feature_error: float


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan.

    Attributes:
        plan: The plan.
        seconds: What making it took, curves included, also where those were at hand.
    """

    plan: Plan
    seconds: float


def planned(
    source: Sliceable, recipe: Recipe, cache: Path, report: Callable[[str], None]
) -> Planned:
    """Makes a plan; curves measured before on the same samples by the same code are taken again.

    Args:
        source: The model.
        recipe: What is asked for.
        cache: Folder of measured curves.
        report: Told in a line what is being done.
    """
    measured, seconds = _curves(source, recipe, cache, report)
    start = time.perf_counter()
    if recipe.budget_params is not None:
        share = share_of_all(recipe.budget_params, size_of(source.model))
        recipe = replace(recipe, budget_params=share)
    plan = _from_curves(source, recipe, measured)
    return Planned(plan, seconds + time.perf_counter() - start)


def share_of_all(share: float, size: Size) -> float:
    """A share of the parameters that count, as a share of all: embeddings stay whole.

    Args:
        share: Of the parameters without word embeddings.
        size: The model's.
    """
    return (share * size.counted + size.embeddings) / size.parameters


def _from_curves(source: Sliceable, recipe: Recipe, measured: Plan) -> Plan:
    return make_plan(
        source.model,
        source.samples,
        recipe,
        augment=source.augmentation,
        curves=measured.curves,
    )


def _curves(
    source: Sliceable, recipe: Recipe, cache: Path, report: Callable[[str], None]
) -> tuple[Plan, float]:
    """A plan without budget, for its curves, and the seconds that it took."""
    bare = replace(
        recipe,
        beta=None,
        budget_params=None,
        budget_macs=None,
        budget_bytes=None,
        budget_latency=None,
        budget_latency_ms=None,
        block=None,
    )
    key = key_of(
        to_bytes(source.model),
        *(source.samples.inputs[name].tobytes() for name in sorted(source.samples.inputs)),
        source.samples.labels.tobytes(),
        asdict(source.augmentation),
        bare.to_json(),
        source_of(*CODE),
    )
    path = cache / f"{key}.json"
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Plan.from_json(kept["plan"]), float(kept["seconds"])
    start = time.perf_counter()
    plan = make_plan(
        source.model,
        source.samples,
        bare,
        augment=source.augmentation,
        report=lambda step: report(told(step)),
    )
    seconds = time.perf_counter() - start
    save_json(path, {"plan": plan.to_json(), "seconds": seconds})
    return plan, seconds


def sliced(
    source: Sliceable, plan: Plan, classes: Sequence[int], report: Callable[[str], None]
) -> dict[int, Piece]:
    """Slices classes as a plan says.

    Args:
        source: The model.
        plan: A plan of it.
        classes: Class indices in the model.
        report: Told in a line what is being done.

    Returns:
        By class index.
    """
    found = slice_classes(
        source.model,
        source.samples,
        plan,
        classes,
        augment=source.augmentation,
        report=lambda step: report(told(step)),
    )
    return {
        one.classes[0]: Piece(to_bytes(one.model), dict(one.kept), one.feature_error)
        for one in found
    }


def of_random_units(plan: Plan) -> Plan:
    """The same plan and repair with units that are drawn instead of chosen.

    The paper's own methods are compared with random units adapted by the paper's training.
    """
    recipe = plan.recipe
    repair = recipe.adaptation if recipe.method is Method.CLOSED_FORM else Adaptation.TRAINED
    random = replace(
        recipe, method=Method.CLOSED_FORM, criterion=Criterion.RANDOM, adaptation=repair
    )
    return replace(plan, recipe=random)


def told(step: Progress) -> str:
    """A step of planning or slicing in words."""
    label = "" if step.class_label is None else f" class {step.class_label}"
    return f"{step.phase}{label}: {step.layer} ({step.done} of {step.total})"
