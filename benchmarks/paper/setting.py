"""What one run is to do, and what its result is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.paper.tasks import LabelOrder
from slicer_svc.slicing.recipe import Adaptation, Criterion, Method, Recipe

PACK = "pack"
"""What our own packs are called beside the baselines."""

RANDOM = "random"
"""Packs of random units of the same plan with the same repair."""


@dataclass(frozen=True)
class Setting:
    """One run.

    Attributes:
        task: T1 … T7.
        arch: The origins' architecture.
        k: Samples of a class.
        slicing: How origins are sliced; its seed is set anew for every draw.
        data: Folder of the data sets.
        out: Folder of results; its `.cache` holds origins, curves and baselines.
        method: What the method is called in results.
        width: Factor on the origins' channels.
        seed: Seed of the origins and of the draws.
        draws: Draws of the samples.
        label_order: By what classes are numbered.
        baselines: Names of the baselines.
        threads: Processor threads.
        alone: Whether an origin is sliced without the other origins' samples, which are otherwise
            read without their labels, as samples of a market are.
        prefix: What the name of the result's file begins with.
    """

    task: str
    arch: str
    k: int
    slicing: Recipe
    data: Path
    out: Path
    method: str
    width: float = 1.0
    seed: int = 0
    draws: int = 1
    label_order: LabelOrder = LabelOrder.INDEX
    baselines: tuple[str, ...] = field(default=("ensemble", "random"))
    threads: int = 1
    alone: bool = False
    prefix: str = ""

    @property
    def cache(self) -> Path:
        """Where what several runs share is kept."""
        return self.out / ".cache"

    @property
    def budget(self) -> str:
        """The size that is asked for, as it stands in the file's name."""
        recipe = self.slicing
        for name, share in (
            ("params", recipe.budget_params),
            ("macs", recipe.budget_macs),
            ("bytes", recipe.budget_bytes),
            ("latency", recipe.budget_latency),
        ):
            if share is not None:
                return f"{name}{share:g}"
        return f"beta{recipe.share:g}"

    @property
    def path(self) -> Path:
        """The result's file; settings that are not the default stand in its name."""
        default = Recipe()
        recipe = self.slicing
        extras = [
            ("superclass", self.label_order is LabelOrder.SUPERCLASS),
            (f"block{recipe.block}", recipe.block != default.block),
            (f"views{recipe.views}", recipe.views != default.views),
            ("alone", self.alone),
            (recipe.criterion.value, self._asks_for(recipe.criterion, default.criterion)),
            (recipe.adaptation.value, recipe.adaptation != default.adaptation),
        ]
        parts = [self.task, self.arch, f"w{self.width:g}", f"k{self.k}", self.method, self.budget]
        parts += [name for name, given in extras if given] + [f"s{self.seed}"]
        return self.out / (self.prefix + "-".join(parts) + ".json")

    def _asks_for(self, criterion: Criterion, default: Criterion) -> bool:
        return criterion != default and self.method != criterion.value


def slicing_method(name: str) -> tuple[Method, Criterion, Adaptation]:
    """What a method's name stands for: a method of the slicer, or a criterion of `closed_form`.

    Raises:
        ValueError: It is neither.
    """
    default = Recipe()
    if name in {method.value for method in Method}:
        return Method(name), default.criterion, default.adaptation
    return Method.CLOSED_FORM, Criterion(name), default.adaptation
