"""The layout of a pack: near the quickest at every batch."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir

from onnxgraph.parity import Runner
from onnxgraph.passes.lay_out_siblings import LayOutSiblings, uniform
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from onnxgraph.siblings.find import Layout, Siblings, find_siblings
from onnxgraph.siblings.seams import places_of
from packer_svc.fusion.kept_files import keep
from packer_svc.fusion.layout.costs import BATCHES, CostTable, Times, machine
from packer_svc.fusion.layout.regret import Choice, choose
from packer_svc.fusion.precision import Lowered, Precision, lower
from packer_svc.fusion.probes import Inputs
from packer_svc.fusion.run_time import BATCH, RunTime, run_times

BOUND = 1.05
"""Times the quickest layout that a pack may take at any batch."""

TURNS = {1: (12, 48), BATCH: (3, 5), 32: (2, 4)}
"""Of whole packs, few and most: what joining wins in a batch of 1 is no more than a few calls."""

TRIED_BATCHES = (1, BATCH)
"""At which whole float32 packs are timed: the proof needs these times anyway. What a larger batch
does to layers is known from the table."""


class Plan(StrEnum):
    """How a whole pack is laid out."""

    SEPARATE = "separate"
    """Every branch for itself, as merged."""
    BY_LAYER = "by_layer"
    """Each group of siblings as `regret.choose` says."""
    STACKED = "stacked"
    """All siblings that read one value as one layer."""
    GROUPED = "grouped"
    """These, and all others of equal shapes as one grouped convolution."""
    BLOCK_DIAGONAL = "block_diagonal"
    """These, and all others as one block-diagonal layer."""


NEAR = {Plan.BY_LAYER: BOUND, Plan.SEPARATE: 1.03}
"""Times the quickest: a plan that is as near at every batch is taken where it is favoured. What
layers promise is denied by no less than a graph differs from itself when it is loaded twice, which
is some percent at a batch of 1; without such a promise branches stay apart while that is near."""


@dataclass(frozen=True)
class LayerChoice:
    """How one group of siblings is laid out.

    Attributes:
        first: Its first node's name.
        members: How many layers there are.
        layout: The layout.
        seconds: By layout and batch; empty where there was nothing to choose from.
    """

    first: str
    members: int
    layout: Layout
    seconds: Mapping[Layout, Times]

    def to_json(self) -> dict[str, Any]:
        """What a manifest says about it."""
        seconds = {layout: _told(times) for layout, times in self.seconds.items()}
        return {**asdict(self), "seconds": seconds}


@dataclass(frozen=True)
class Target:
    """What a pack is laid out for.

    Attributes:
        precision: In what it computes.
        samples: What it is run on, one array per input by its name.
        table: A folder of times, by layers and by whole graphs: the same pack is laid out the same
            way again. None keeps nothing.
    """

    precision: Precision
    samples: Inputs
    table: Path | None = None


@dataclass(frozen=True)
class Laid:
    """A pack in a layout that loses little at any batch, or as merged where all are alike.

    Attributes:
        plan: How it is laid out.
        pack: The float32 pack in it.
        lowered: The same in the precision that is served.
        layers: The choice for each group of siblings, where layers were timed.
        times: By plan and batch, how long the whole runs; empty where there was nothing to choose
            from.
        regret: By batch, its time over that of the quickest layout, by whole packs or by siblings
            alone (whose share in the whole makes it less), whichever is more.
    """

    plan: Plan
    pack: bytes
    lowered: Lowered
    layers: tuple[LayerChoice, ...]
    times: Mapping[Plan, Times]
    regret: Times

    @property
    def time(self) -> RunTime | None:
        """How long the chosen one runs, where it was timed."""
        times = self.times.get(self.plan)
        return None if times is None else RunTime(times[1], times[BATCH])

    def to_json(self) -> dict[str, Any]:
        """What the pack's manifest says about its layout."""
        beyond = {batch: ratio for batch, ratio in self.regret.items() if ratio > BOUND}
        return {
            "chosen": self.plan,
            "regret": _told(self.regret),
            "bound": BOUND,
            "beyond_bound": _told(beyond),
            "run_times": {plan: _told(times) for plan, times in self.times.items()},
            "layers": [choice.to_json() for choice in self.layers],
        }


def quickest(model: ir.Model, target: Target) -> Laid:
    """Finds a layout of a pack that is near the quickest at every batch of `BATCHES`.

    In float32 each group of siblings is timed by itself, once for all packs that have such a group.
    Only where separate branches would lose too much the whole pack is laid out as its layers
    promise, and timed against the one with separate branches: the whole has the last word at the
    batches that are timed. In fewer bits layers by themselves tell little, for what stands around
    them decides where integers begin; there all plans are tried.

    Args:
        model: What `merge_pack` made, shapes inferred; left as it is.
        target: What it is laid out for.

    Raises:
        FusionError: See `precision.lower`.
        GraphError: ONNX Runtime cannot run the result.
    """
    pack = to_bytes(model)
    if target.precision is not Precision.FP32:
        return _tried(plans(model, pack), target, (), {}, BATCHES)
    layers, choice = layer_choices(model, target.table)
    if all(one.layout is Layout.SEPARATE for one in layers):
        return Laid(Plan.SEPARATE, pack, Lowered(pack), layers, {}, choice.regret)
    layouts = {one.first: one.layout for one in layers}
    laid = _laid_out(pack, lambda siblings: layouts[_first(siblings)])
    promised = {Plan.SEPARATE: choice.apart, Plan.BY_LAYER: choice.regret}
    return _tried(
        {Plan.SEPARATE: pack, Plan.BY_LAYER: laid}, target, layers, promised, TRIED_BATCHES
    )


def layer_choices(model: ir.Model, table: Path | None) -> tuple[tuple[LayerChoice, ...], Choice]:
    """The layout of each group of siblings by the cost table, in float32.

    Args:
        model: A pack, shapes inferred.
        table: As of `Target`.
    """
    kept, groups = CostTable(table), find_siblings(model)
    choice = choose(
        groups,
        places_of(model.graph, groups),
        lambda at, batches: kept.costs(groups[at], batches),
    )
    layers = (
        LayerChoice(_first(siblings), len(siblings.members), layout, one.seconds)
        for siblings, layout, one in zip(groups, choice.layouts, choice.costs, strict=True)
    )
    return tuple(layers), choice


def _tried(
    found: Mapping[Plan, bytes],
    target: Target,
    layers: tuple[LayerChoice, ...],
    promised: Mapping[Plan, Times],
    batches: Sequence[int],
) -> Laid:
    """Times whole packs, and takes the one that loses least at the batch where it loses most.

    Args:
        found: The float32 pack by plan, `Plan.SEPARATE` among them.
        target: What it is laid out for.
        layers: The choice for each group of siblings.
        promised: By plan and batch the regret that layers tell.
        batches: At which packs are timed.
    """
    lowered = {
        plan: lower(graph, target.precision, target.samples) for plan, graph in found.items()
    }
    times = _times(lowered, target, batches)
    regrets: dict[Plan, dict[int, float]] = {}
    for plan in found:
        regrets[plan] = dict(promised.get(plan, {}))
        for batch in batches:
            ratio = times[plan][batch] / min(one[batch] for one in times.values())
            regrets[plan][batch] = max(round(ratio, 4), regrets[plan].get(batch, 1.0))
    worst = {plan: max(regret.values()) for plan, regret in regrets.items()}
    favoured = Plan.BY_LAYER if Plan.BY_LAYER in found else Plan.SEPARATE
    best = min(worst, key=lambda plan: worst[plan])
    if worst[favoured] <= NEAR[favoured]:
        best = favoured
    return Laid(best, found[best], lowered[best], layers, times, regrets[best])


def plans(model: ir.Model, pack: bytes) -> dict[Plan, bytes]:
    """A pack in all plans that differ, each with one layout for all siblings that can have it.

    Args:
        model: The pack, shapes inferred; left as it is.
        pack: The same as a file.
    """
    found = {Plan.SEPARATE: pack}
    groups = find_siblings(model)
    for layout in (Layout.STACKED, Layout.GROUPED, Layout.BLOCK_DIAGONAL):
        if any(layout in siblings.layouts for siblings in groups):
            found[Plan(layout.value)] = _laid_out(pack, uniform(layout))
    return found


def _first(siblings: Siblings) -> str:
    return str(siblings.members[0].name)


def _laid_out(pack: bytes, choose: Callable[[Siblings], Layout]) -> bytes:
    model = from_trusted_bytes(pack)
    LayOutSiblings(choose)(model)
    return to_bytes(model)


def _told(times: Times) -> dict[str, float]:
    """Figures by batch as JSON."""
    return {str(batch): figure for batch, figure in times.items()}


def _times(
    lowered: Mapping[Plan, Lowered], target: Target, batches: Sequence[int]
) -> dict[Plan, Times]:
    """Times of a pack's plans: those of a pack of the same structure, or measured."""
    graphs = {plan: one.graph for plan, one in lowered.items()}
    path = None if target.table is None else target.table / f"{_key(graphs)}.layout.json"
    times = _kept(path, graphs, batches)
    if times is None:
        runners = {plan: Runner(graph) for plan, graph in graphs.items()}
        measured = run_times(runners, target.samples, batches, turns=TURNS)
        times = {plan: {batch: measured[batch][plan] for batch in batches} for plan in graphs}
        if path is not None:
            kept = {plan.value: _told(one) for plan, one in times.items()}
            keep(path, json.dumps(kept).encode())
    return times


def _key(graphs: Mapping[Plan, bytes]) -> str:
    """Names graphs by all but the values of their weights, and by what ran them."""
    found = hashlib.sha256("\n".join(machine()).encode())
    for graph in graphs.values():
        proto = onnx.load_from_string(graph)
        for tensor in proto.graph.initializer:
            tensor.ClearField("raw_data")
        found.update(proto.SerializeToString(deterministic=True))
    return found.hexdigest()


def _kept(
    path: Path | None, plans: Collection[Plan], batches: Sequence[int]
) -> dict[Plan, Times] | None:
    """Times that were measured before; None where there are none, or the file is damaged."""
    if path is None:
        return None
    try:
        kept = json.loads(path.read_text())
        return {
            plan: {batch: float(kept[plan.value][str(batch)]) for batch in batches}
            for plan in plans
        }
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
