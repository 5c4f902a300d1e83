"""``python -m benchmarks.speed``: seconds and memory of planning and slicing one model.

Time and memory depend on sizes, not on what a network has learnt: its weights are new and its
samples noise. Writes ``speed-….json`` in ``--out``; an existing one is replaced.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch

from benchmarks.paper.progress import Progress
from benchmarks.paper.result import device
from benchmarks.paper.slices import told
from benchmarks.paper.storage import save_json
from benchmarks.speed.networks import INPUT, NETWORKS, new_model
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.errors import SlicingError
from slicer_svc.slicing.fragments import slice_classes
from slicer_svc.slicing.plan import Plan
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.recipe import Method, Recipe
from slicer_svc.slicing.samples import Samples, unlabelled
from svckit.cores import usable_cores

PROGRAM = "python -m benchmarks.speed"
VIEWS = Augmentation(images=(INPUT,), flip=True, pad=4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Plans and slices one model and writes what it took.

    Args:
        arguments: Of the command line; those of the process where left out.

    Returns:
        The exit code: 0, or 1 where an argument is out of range.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser().parse_args(given)
    try:
        recipe = _recipe(parsed)
    except (SlicingError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    torch.set_num_threads(parsed.threads)
    start = time.perf_counter()
    model = new_model(parsed.arch, parsed.classes, parsed.width, parsed.size)
    loaded = time.perf_counter() - start
    samples = _noise(parsed)
    found = {
        "command": f"{PROGRAM} {shlex.join(given)}".strip(),
        "arch": parsed.arch,
        "classes": parsed.classes,
        "method": recipe.method.value,
        "views": recipe.views,
        "load_seconds": loaded,
        **_measured(model, samples, recipe, min(parsed.sliced, parsed.classes)),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "device": device(parsed.threads),
    }
    save_json(parsed.out / f"speed-{parsed.arch}-{recipe.method.value}.json", found)
    print(json.dumps(found, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    add = found.add_argument
    add("--arch", default="vgg16", choices=sorted(NETWORKS))
    add("--classes", type=int, default=3, help="classes of the model")
    add("--sliced", type=int, default=3, help="classes that are sliced")
    add("--k", type=int, default=20, help="samples of each class")
    add("--others", type=int, default=120, help="samples of other models, without labels")
    add("--size", type=int, default=32, help="height and width of a picture, in pixels")
    add("--width", type=float, default=1.0, help="factor on the network's channels")
    add("--method", default=Method.CLOSED_FORM.value, choices=[method.value for method in Method])
    size = found.add_mutually_exclusive_group()
    size.add_argument("--beta", type=float, help="share of every group's units that is kept")
    size.add_argument("--budget-macs", type=float, help="share of the MACs")
    add("--views", type=int, default=Recipe().views, help="augmented views of a sample")
    add("--threads", type=int, default=usable_cores(), help="processor threads")
    add("--out", type=Path, default=Path("out"), help="where figures are written")
    return found


def _recipe(parsed: argparse.Namespace) -> Recipe:
    """What is asked of the slicer.

    Raises:
        SlicingError: FIELD_INVALID, a setting is out of range.
        ValueError: So is a number of this command's own.
    """
    for name in ("classes", "sliced", "k", "size", "width", "threads"):
        if not 0 < getattr(parsed, name) < math.inf:
            raise ValueError(f"--{name} has to be above 0 and finite")
    if parsed.others < 0:
        raise ValueError("--others has to be at least 0")
    return Recipe(
        method=Method(parsed.method),
        beta=parsed.beta,
        budget_macs=parsed.budget_macs,
        views=parsed.views,
    )


def _noise(parsed: argparse.Namespace) -> Samples:
    random = np.random.default_rng(0)
    shape = (3, parsed.size, parsed.size)
    count = parsed.classes * parsed.k
    own = random.standard_normal((count, *shape), dtype=np.float32)
    labels = np.repeat(np.arange(parsed.classes, dtype=np.int64), parsed.k)
    samples = Samples({INPUT: own}, labels)
    if not parsed.others:
        return samples
    others = random.standard_normal((parsed.others, *shape), dtype=np.float32)
    return samples.joined(unlabelled({INPUT: others}))


def _measured(model: ir.Model, samples: Samples, recipe: Recipe, classes: int) -> dict[str, object]:
    """Seconds of a plan, of the same plan from its curves, and of every class; its size."""
    progress = Progress(2 + classes)
    start = time.perf_counter()
    plan = make_plan(
        model, samples, recipe, augment=VIEWS, report=lambda step: progress.tell(told(step))
    )
    planned = time.perf_counter() - start
    progress.finish("planned")
    start = time.perf_counter()
    make_plan(model, samples, recipe, augment=VIEWS, curves=plan.curves)
    again = time.perf_counter() - start
    progress.finish("planned again from the same curves")
    seconds = []
    start = time.perf_counter()
    for sliced in slice_classes(
        model,
        samples,
        plan,
        range(classes),
        augment=VIEWS,
        report=lambda step: progress.tell(told(step)),
    ):
        seconds.append(time.perf_counter() - start)
        progress.finish(f"class {sliced.classes[0]}")
        start = time.perf_counter()
    return {
        "plan_seconds": planned,
        "plan_again_seconds": again,
        "slice_seconds": seconds,
        **_shares(plan),
    }


def _shares(plan: Plan) -> dict[str, object]:
    return {
        "parameter_share": plan.parameters_after / plan.parameters_before,
        "macs_share": plan.macs_after / plan.macs_before,
    }


if __name__ == "__main__":
    sys.exit(main())
