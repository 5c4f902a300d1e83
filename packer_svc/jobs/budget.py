"""A pack with a budget beside the pack that the fragments named would have made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.feature_cache import FeatureCache
from packer_svc.fusion.features import Fragment
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.model import HeadReport
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.pack import build_pack
from packer_svc.fusion.proof import ModelSize
from packer_svc.fusion.prove import model_size
from packer_svc.fusion.samples import PackSamples
from packer_svc.fusion.trunks import trunks_of

NO_ACCURACY = -1.0
"""In a proof's summary: there are too few samples to cross-validate."""


@dataclass(frozen=True)
class Weighed:
    """What a budget adds to what a pack's proof tells; nothing without one.

    Attributes:
        proof: To the JSON: under ``budget`` are ``asked``, ``before``, ``after`` and ``shares``. An
            accuracy is None where there are too few samples to cross-validate.
        summary: To the fields of `packer.v1.ProofSummary`.
    """

    proof: dict[str, Any]
    summary: dict[str, float]


@dataclass(frozen=True)
class Weighing:
    """Weighs packs of the same classes.

    Attributes:
        cache: What fragments said about samples.
        samples: The samples of all classes.
        labels: The labels of the pack's outputs.
        head: The head that both packs are fitted.
        graph_of: Reads a fragment as the pack feeds it.
    """

    cache: FeatureCache
    samples: PackSamples
    labels: Sequence[str]
    head: HeadSpec
    graph_of: Callable[[Mapping[str, Any]], bytes]

    def of(self, budget: Mapping[str, Any] | None, after: tuple[ModelSize, HeadReport]) -> Weighed:
        """Says what a pack costs and what it is worth before and after its budget.

        Args:
            budget: ``asked``, ``shares`` and, where there is any, ``too_slow`` as they are to be
                told; ``most``, the parameters or MACs that the pack may have, or None; ``before``,
                the fragments that were named, as `pack_fragments` takes them, and ``after``, the
                names of the pack's own. None for a pack without a budget.
            after: The size of the pack and the report of its head.

        Raises:
            FusionError: BUDGET_UNREACHABLE, the pack is larger than it may be.
        """
        if budget is None:
            return Weighed({}, {})
        size, report = after
        require_size(budget, size)
        before = self._before(budget["before"])
        told = {
            "asked": budget["asked"],
            "before": before,
            "after": _told(size, report, budget["after"]),
            "shares": budget["shares"],
            **({"too_slow": budget["too_slow"]} if "too_slow" in budget else {}),
        }
        accuracy = NO_ACCURACY if before["accuracy"] is None else float(before["accuracy"])
        return Weighed({"budget": told}, {"cross_validated_accuracy_before": accuracy})

    def _before(self, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        trunks = trunks_of([self.graph_of(one) for one in parts])
        fragments = [Fragment(trunk.graph) for trunk in trunks]
        features = [self.cache.run(fragment, self.samples.blocks) for fragment in fragments]
        serves = [trunk.serves([one["output"] for one in parts]) for trunk in trunks]
        classes = len(self.labels)
        head, report = fit_head(features, self.samples.labels, classes, self.head, serves=serves)
        graph = build_pack([fragment.graph for fragment in fragments], head, self.labels)
        return _told(model_size(graph), report, [one["part"]["fragment"] for one in parts])


def _told(size: ModelSize, report: HeadReport, fragments: Sequence[str]) -> dict[str, Any]:
    validated = report.cross_validation
    return {
        "parameters": size.parameters,
        "macs": size.macs,
        "accuracy": None if validated is None else validated.accuracy,
        "fragments": list(fragments),
    }


def require_size(budget: Mapping[str, Any], size: ModelSize) -> None:
    """Refuses a pack that is larger than it may be.

    Args:
        budget: As of `Weighing.of`.
        size: The pack's.

    Raises:
        FusionError: BUDGET_UNREACHABLE.
    """
    asked, most = budget["asked"], budget["most"]
    if most is None:
        return
    found = size.parameters if asked["kind"] == "parameters" else size.macs
    if found > most:
        # Rounded up, so that what is advised can be had.
        least = f"{math.ceil(asked['value'] * found / most * 1e4) / 1e4:.4f}"
        raise FusionError(
            FusionReason.BUDGET_UNREACHABLE,
            f"The pack has {found} {asked['kind']}, {found - most} more than its budget allows.",
            advice=f"Ask for at least {least}.",
            metadata={
                "budget": f"{asked['value']:.6f}",
                "least": least,
                "kind": asked["kind"],
            },
        )
