"""The quickest of a pack's layouts."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
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
from packer_svc.fusion.kept_files import keep
from packer_svc.fusion.layout.costs import CostTable, Seconds, machine
from packer_svc.fusion.precision import Lowered, Precision, lower
from packer_svc.fusion.probes import Inputs
from packer_svc.fusion.run_time import RunTime, run_times

WORTH = 0.97
"""Of the time of separate branches: another layout is taken below it. What is nearer is noise."""


class Plan(StrEnum):
    """How a whole pack is laid out."""

    SEPARATE = "separate"
    """Every branch for itself, as merged."""
    BY_LAYER = "by_layer"
    """Each group of siblings as the cost table says."""
    STACKED = "stacked"
    """All siblings that read one value as one layer."""
    GROUPED = "grouped"
    """These, and all others of equal shapes as one grouped convolution."""
    BLOCK_DIAGONAL = "block_diagonal"
    """These, and all others as one block-diagonal layer."""


@dataclass(frozen=True)
class LayerChoice:
    """How one group of siblings is laid out.

    Attributes:
        first: Its first node's name.
        members: How many layers there are.
        layout: The layout.
        seconds: Of a batch of `costs.BATCH`, by layout; empty where it could not be timed.
    """

    first: str
    members: int
    layout: Layout
    seconds: Seconds


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
    """A pack in the quickest of its layouts, or as merged where none is clearly quicker.

    Attributes:
        plan: How it is laid out.
        pack: The float32 pack in it.
        lowered: The same in the precision that is served.
        layers: The choice for each group of siblings, where layers were timed.
        times: By plan, how long the whole runs; empty where there was nothing to choose from.
    """

    plan: Plan
    pack: bytes
    lowered: Lowered
    layers: tuple[LayerChoice, ...]
    times: Mapping[Plan, RunTime]

    @property
    def time(self) -> RunTime | None:
        """How long the chosen one runs, where it was timed."""
        return self.times.get(self.plan)

    def to_json(self) -> dict[str, Any]:
        """What the pack's manifest says about its layout."""
        return {
            "chosen": self.plan,
            "run_times": {plan: asdict(time) for plan, time in self.times.items()},
            "layers": [asdict(choice) for choice in self.layers],
        }


def quickest(model: ir.Model, target: Target) -> Laid:
    """Finds the quickest layout of a pack.

    In float32 each group of siblings is timed by itself, once for all packs that have such a group.
    Only where that promises anything is the whole pack laid out so, and timed against the one
    with separate branches: the whole has the last word. In fewer bits layers by themselves tell
    little, for what stands around them decides where integers begin; there all plans are tried.

    Args:
        model: What `merge_pack` made, shapes inferred; left as it is.
        target: What it is laid out for.

    Raises:
        FusionError: See `precision.lower`.
        GraphError: ONNX Runtime cannot run the result.
    """
    pack = to_bytes(model)
    layers = layer_choices(model, target)
    if target.precision is Precision.FP32:
        chosen = {choice.first: choice.layout for choice in layers}
        if not promising(layers):
            return Laid(Plan.SEPARATE, pack, Lowered(pack), layers, {})
        laid = _laid_out(pack, lambda siblings: chosen[_first(siblings)])
        found = {Plan.SEPARATE: pack, Plan.BY_LAYER: laid}
    else:
        found = plans(model, pack)
    lowered = {
        plan: lower(graph, target.precision, target.samples) for plan, graph in found.items()
    }
    times = _times(lowered, target)
    best = min(times, key=lambda plan: times[plan].batch_seconds)
    if times[best].batch_seconds > WORTH * times[Plan.SEPARATE].batch_seconds:
        best = Plan.SEPARATE
    return Laid(best, found[best], lowered[best], layers, times)


def layer_choices(model: ir.Model, target: Target) -> tuple[LayerChoice, ...]:
    """The layout of each group of siblings by the cost table, in float32; none in fewer bits.

    Args:
        model: A pack, shapes inferred.
        target: What it is laid out for.
    """
    if target.precision is not Precision.FP32:
        return ()
    table = CostTable(target.table)
    return tuple(_choice(siblings, table.seconds(siblings)) for siblings in find_siblings(model))


def promising(layers: Collection[LayerChoice]) -> bool:
    """Whether the layers that were timed would together be clearly quicker as chosen.

    What is small beside them is smaller still beside the whole pack: it is not worth a trial.
    """
    timed = [one for one in layers if one.seconds]
    now = sum(one.seconds[Layout.SEPARATE] for one in timed)
    return sum(one.seconds[one.layout] for one in timed) < WORTH * now


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


def _choice(siblings: Siblings, seconds: Seconds) -> LayerChoice:
    best = min(seconds, key=lambda layout: seconds[layout], default=Layout.SEPARATE)
    if best is not Layout.SEPARATE and seconds[best] > WORTH * seconds[Layout.SEPARATE]:
        best = Layout.SEPARATE
    return LayerChoice(_first(siblings), len(siblings.members), best, seconds)


def _first(siblings: Siblings) -> str:
    return str(siblings.members[0].name)


def _laid_out(pack: bytes, choose: Callable[[Siblings], Layout]) -> bytes:
    model = from_trusted_bytes(pack)
    LayOutSiblings(choose)(model)
    return to_bytes(model)


def _times(lowered: Mapping[Plan, Lowered], target: Target) -> dict[Plan, RunTime]:
    """Times of a pack's plans: those of a pack of the same structure, or measured."""
    graphs = {plan: one.graph for plan, one in lowered.items()}
    path = None if target.table is None else target.table / f"{_key(graphs)}.layout.json"
    times = _kept(path, graphs)
    if times is None:
        times = run_times({plan: Runner(graph) for plan, graph in graphs.items()}, target.samples)
        if path is not None:
            kept = {plan.value: asdict(one) for plan, one in times.items()}
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


def _kept(path: Path | None, wanted: Collection[Plan]) -> dict[Plan, RunTime] | None:
    """Times that were measured before; None where there are none, or the file is damaged."""
    if path is None:
        return None
    try:
        kept = json.loads(path.read_text())
        found = {Plan(name): RunTime(**times) for name, times in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return found if set(found) == set(wanted) else None
