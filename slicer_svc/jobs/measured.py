"""A model with all measurements that a recipe needs, known ones taken again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from slicer_svc.jobs.checked_model import CheckedModel
from slicer_svc.jobs.kept_measurements import known_latency, read_kept
from slicer_svc.jobs.other_samples import choose_other_samples
from slicer_svc.slicing.measurements import Measurements, measure
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.plan import curve_from_json
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import Samples


@dataclass(frozen=True, eq=False)
class MeasuredModel:
    """A model with what is measured of it.

    Attributes:
        network: The model.
        samples: Its samples, then those of other models, without a label.
        recipe: What is asked for.
        found: All measurements that the recipe needs.
        kept: ``measured``, a list of "curves" and "latency", whichever was written; ``chosen`` what
            `choose_other_samples` says, None where there were no candidates.
    """

    network: Network
    samples: Samples
    recipe: Recipe
    found: Measurements
    kept: dict[str, Any]

    @classmethod
    def of(cls, request: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> Self:
        """Reads a model, measures what is not known, and writes that.

        Args:
            request: ``normalised`` and ``samples`` are paths; ``inputs`` what `InputSpec.to_json`
                wrote; ``recipe`` what `Recipe.to_json` wrote; ``curves`` the path of kept curves or
                None, ``other_samples`` that of what they were measured with beside ``samples``;
                ``latency`` that of kept times, by machine; ``new_curves`` and ``new_latency`` those
                of what had to be measured. Without curves ``candidates`` may name models that other
                samples are taken from, see `choose_other_samples`.
            report: Takes the fields of `Progress`.
        """
        chosen = None
        if request["candidates"]:
            chosen = choose_other_samples(request)
            # Read from the file, as slicing will.
            request = {**request, "other_samples": request["new_other_samples"]}
        checked = CheckedModel.read(request)
        recipe = Recipe.from_json(request["recipe"])
        network = Network.of(checked.graph)
        known, machines = _known(request)
        found = measure(
            network,
            checked.samples,
            recipe,
            augment=checked.augmentation,
            known=known,
            report=lambda progress: report(asdict(progress)),
        )
        measured = []
        if found.curves is not None and found.curves != known.curves:
            _write(request["new_curves"], [asdict(curve) for curve in found.curves])
            measured.append("curves")
        if found.latency is not None and found.latency != known.latency:
            # Those of other machines stay: a replica may run there.
            machines = {**machines, found.latency.machine: found.latency.to_json()}
            _write(request["new_latency"], machines)
            measured.append("latency")
        kept = {"measured": measured, "chosen": chosen}
        return cls(network, checked.samples, recipe, found, kept)


def _known(request: dict[str, Any]) -> tuple[Measurements, dict[str, Any]]:
    """What is kept of the model, and all of its times by machine."""
    curves, machines = read_kept(request["curves"]), read_kept(request["latency"]) or {}
    known = Measurements(
        curves=None if curves is None else tuple(curve_from_json(curve) for curve in curves),
        latency=known_latency(request["latency"]),
    )
    return known, machines


def _write(path: str, data: object) -> None:
    Path(path).write_text(json.dumps(data, sort_keys=True))
