"""Plans and slices a model anew from the samples outside of a fold, to judge packs honestly."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from slicer_svc.jobs.checked_model import CheckedModel
from slicer_svc.jobs.kept_measurements import known_latency
from slicer_svc.jobs.other_samples import choose_other_samples
from slicer_svc.jobs.slice import slice_checked
from slicer_svc.samples_file import read_samples
from slicer_svc.slicing.measurements import Measurements, measure
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.planner import plan_measured
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import Samples
from svckit.dealing import held_out, sample_digests
from svckit.folds import Fold
from svckit.input_spec import InputSpec


@dataclass(frozen=True)
class HeldOut:
    """Samples that nothing may see.

    Attributes:
        digests: Of those of the fold, in the model's own file and in those of the others.
        candidates: The other models, with how many samples of theirs may be seen.
    """

    digests: Set[str]
    candidates: Sequence[dict[str, Any]]

    @classmethod
    def of(cls, request: dict[str, Any]) -> Self:
        """Looks through the samples of the model and of the others.

        Args:
            request: ``samples`` and ``inputs`` of the model, ``candidates`` as
                `choose_other_samples` takes them, ``held_out`` with the fields of `Fold`.
        """
        fold = Fold(**request["held_out"])
        unseen: set[str] = set()
        found: list[list[str]] = []
        for one in [request, *request["candidates"]]:
            # One file at a time: together they may be large.
            samples = _read(one)
            digests = sample_digests(samples.inputs)
            places = np.flatnonzero(held_out(samples.labels, digests, fold))
            unseen |= {digests[place] for place in places}
            found.append(digests)
        counts = [sum(digest not in unseen for digest in digests) for digests in found[1:]]
        candidates = [
            {**candidate, "count": count}
            for candidate, count in zip(request["candidates"], counts, strict=True)
            if count
        ]
        return cls(frozenset(unseen), candidates)

    def seen(self, samples: Samples) -> Samples:
        """Those samples that may be seen."""
        digests = sample_digests(samples.inputs)
        left = [place for place, digest in enumerate(digests) if digest not in self.digests]
        return samples.take(np.array(left, dtype=np.int64))


def slice_held_out(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Plans by a recipe and slices classes as if the samples of a fold did not exist.

    Curves are measured here and kept nowhere: kept ones have seen the fold.

    Args:
        request: What `CheckedModel.read` and `HeldOut.of` read; ``recipe`` what `Recipe.to_json`
            wrote; ``latency`` the path of kept times or None: they depend on no sample;
            ``new_other_samples`` a path to be written; and what `slice_checked` reads.
        report: As of `slice_model`.

    Returns:
        Nothing more.

    Raises:
        SlicingError: The budget cannot be reached, a class has no sample outside of the fold, or
            GRAPH_NOT_FINITE.
    """
    unseen = HeldOut.of(request)
    if unseen.candidates:
        choose_other_samples({**request, "candidates": unseen.candidates}, seen=unseen.seen)
        request = {**request, "other_samples": request["new_other_samples"]}
    checked = CheckedModel.read(request, seen=unseen.seen)
    recipe = Recipe.from_json(request["recipe"])
    network = Network.of(checked.graph)
    found = measure(
        network,
        checked.samples,
        recipe,
        augment=checked.augmentation,
        known=Measurements(curves=None, latency=known_latency(request["latency"])),
        report=lambda progress: report({"progress": asdict(progress)}),
    )
    plan = plan_measured(network, checked.samples, recipe, found)
    slice_checked(checked, plan, request, report)
    return {}


def _read(one: dict[str, Any]) -> Samples:
    inputs = [InputSpec.from_json(spec) for spec in one["inputs"]]
    return read_samples(Path(one["samples"]), inputs)
