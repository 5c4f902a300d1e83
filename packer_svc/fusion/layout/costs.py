"""What a group of sibling layers costs in each of its layouts on this machine, measured once."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime

from onnxgraph.parity import Runner
from onnxgraph.siblings.alone import Sizes, alone, as_file, followers, given_by, read_by, seam
from onnxgraph.siblings.find import Layout, Siblings, groups_of, weight_shape_of
from onnxgraph.siblings.joined import axis_of
from packer_svc.fusion.kept_files import keep
from packer_svc.fusion.processor import processor
from packer_svc.fusion.turns import least_times

Times = Mapping[int, float]
"""Seconds by batch."""

Run = Callable[[int], Callable[[], object]]
"""Takes a batch, gives what runs it."""

FORMAT = "3"
"""Changes whenever kept times would mean something else."""

BATCHES = (1, 8, 32)
"""What is served: a lone client, the batch that tuning goes by, and a large one."""

TIMED = (2, 3, 4, 6, 8)
"""Of siblings of equal shape as many are timed as the largest of these that is not above their
number: a pack of one class more often asks nothing new. Many joined layers find less in the cache
than a few: it shows at six or eight."""

TURNS = {1: (6, 16), 8: (2, 4), 32: (2, 4)}
"""Few and most by batch: a long run sees as much of what others do as many short ones."""

HOPELESS = 1.5
"""Times separate layers: what takes longer is not timed in larger batches, it wins less there."""

MOST_DENSE_WEIGHTS = 1 << 16
"""A block-diagonal weight of more elements is not tried: m branches cost it m times the arithmetic,
and only the smallest layers spend their time on anything else."""


@dataclass(frozen=True)
class Costs:
    """What siblings take on one thread.

    Attributes:
        seconds: By layout, of those between which there is a choice; empty where there is none, or
            where nothing could be timed.
        enter: Of joining what they read.
        leave: Of parting what they give.
    """

    seconds: Mapping[Layout, Times]
    enter: Times
    leave: Times


NOTHING = Costs({}, {}, {})
SEAM = "seam"


class CostTable:
    """Times of sibling layers, kept by all but the values of their weights.

    Args:
        folder: Where they are kept for the next pack; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, Mapping[str, float]] = {}
        self._loaded: dict[str, Mapping[str, Run]] = {}
        self._seams: dict[int, Runner] = {}

    def costs(self, siblings: Siblings, batches: Sequence[int]) -> Costs:
        """What siblings cost in batches.

        Where a size other than the batch is open, nothing can be timed without a sample: nothing is
        told, and they stay apart.

        Args:
            siblings: Layers of a graph.
            batches: Of `BATCHES`, rising.

        Raises:
            GraphError: ONNX Runtime cannot run a layer.
        """
        layouts = tuple(one for one in siblings.layouts if _is_small(siblings, one))
        first = siblings.members[0]
        if len(layouts) == 1 or not (_is_known(first.inputs[0]) and _is_known(first.outputs[0])):
            return NOTHING
        stacked = Layout.STACKED in layouts
        many = len(siblings.members)
        timed = many if stacked else max(one for one in TIMED if one <= many)
        few = Siblings(siblings.members[:timed], layouts)
        signature, more = signature_of(few), (many, timed)
        found: dict[Layout, dict[int, float]] = {layout: {} for layout in layouts}
        for batch in batches:
            told = self._seconds(signature, partial(_layers, few), tuple(found), batch)
            for layout in list(found):
                found[layout][batch] = _of_more(told[layout], told[Layout.SEPARATE], more)
                if told[layout] > HOPELESS * told[Layout.SEPARATE]:
                    del found[layout]
            if len(found) == 1:
                return NOTHING
        behind = followers(few)
        enter = () if stacked else [read_by(node) for node in few.members]
        # All are as large as the first where they are not stacked.
        leave = [given_by(behind[-1] if behind else node) for node in few.members]
        seams = [self._seam(sizes, more, batches) for sizes in (enter, leave)]
        return Costs(dict(found), seams[0], seams[1])

    def _seam(self, sizes: Sequence[Sizes], more: tuple[int, int], batches: Sequence[int]) -> Times:
        """Half of what joins and parts values: one of both."""
        if not sizes:
            return {}
        members, timed = more
        size = sum(map(math.prod, sizes)) // timed
        signature, load = (
            _digest({"seam": timed, "size": size}),
            partial(self._load_seam, timed, size),
        )
        told = {batch: self._seconds(signature, load, (SEAM,), batch) for batch in batches}
        return {batch: one[SEAM] * members / timed / 2 for batch, one in told.items()}

    def _load_seam(self, values: int, size: int) -> dict[str, Run]:
        if values not in self._seams:
            self._seams[values] = Runner(as_file(seam(values)))
        shapes = dict.fromkeys(self._seams[values].inputs, (size,))
        return {SEAM: partial(_ready, self._seams[values], shapes)}

    def _seconds(
        self,
        signature: str,
        load: Callable[[], Mapping[str, Run]],
        names: Sequence[str],
        batch: int,
    ) -> Mapping[str, float]:
        """Seconds by name: those of this or another pack, or measured now."""
        key = f"{signature}-{batch}"
        if key not in self._known:
            kept = self._kept(key, names)
            if kept is None:
                if signature not in self._loaded:
                    self._loaded[signature] = load()
                loaded = self._loaded[signature]
                kept = _timed({name: loaded[name] for name in names}, batch)
                if self._folder is not None:
                    keep(self._path(key), json.dumps(kept).encode())
            self._known[key] = kept
        return self._known[key]

    def _kept(self, key: str, names: Sequence[str]) -> Mapping[str, float] | None:
        if self._folder is None:
            return None
        try:
            kept = json.loads(self._path(key).read_text())
            return {name: float(kept[name]) for name in names}
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _path(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key}.layer.json"


def signature_of(siblings: Siblings) -> str:
    """Names siblings by all that their times depend on, and by what runs them."""
    first = siblings.members[0]
    return _digest(
        {
            "operator": first.op_type,
            "attributes": sorted(
                (name, str(one.value)) for name, one in first.attributes.items() if name != "group"
            ),
            "input": _beside(read_by(first), axis_of(first)),
            "members": sorted(
                (*weight_shape_of(node), groups_of(node)) for node in siblings.members
            ),
            "followed_by": [
                (
                    node.op_type,
                    sorted((name, str(one.value)) for name, one in node.attributes.items()),
                )
                for node in followers(siblings)
            ],
            "layouts": list(siblings.layouts),
        }
    )


@cache
def machine() -> list[str]:
    """What runs the layers: the format of what is kept, ONNX Runtime, the processor."""
    return [FORMAT, onnxruntime.__version__, processor()]


def _digest(told: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps({"machine": machine(), **told}).encode()).hexdigest()


def _beside(sizes: Sizes, axis: int) -> list[int]:
    """Sizes of a sample, its channels aside."""
    found = list(sizes)
    del found[axis - 1 if axis > 0 else axis]
    return found


def _is_known(value: ir.Value | None) -> bool:
    shape = value.shape if value is not None else None
    return shape is not None and all(isinstance(size, int) for size in list(shape)[1:])


def _is_small(siblings: Siblings, layout: Layout) -> bool:
    if layout is not Layout.BLOCK_DIAGONAL:
        return True
    shapes = [weight_shape_of(node) for node in siblings.members]
    rows, columns = (sum(shape[axis] for shape in shapes) for axis in (0, 1))
    return bool(rows * columns * np.prod(shapes[0][2:]) <= MOST_DENSE_WEIGHTS)


def _of_more(seconds: float, separate: float, more: tuple[int, int]) -> float:
    """Of more siblings than were timed: what joining wins, it wins at each but the first."""
    members, timed = more
    return separate * members / timed + (seconds - separate) * (members - 1) / (timed - 1)


def _layers(siblings: Siblings) -> dict[str, Run]:
    return {layout: _run_of(alone(siblings, layout)) for layout in siblings.layouts}


def _timed(runs: Mapping[str, Run], batch: int) -> dict[str, float]:
    few, most = TURNS[batch]
    ready = {name: run(batch) for name, run in runs.items()}
    found = least_times(ready, few=few, most=most)
    # More digits are noise.
    return {name: float(f"{seconds:.4g}") for name, seconds in found.items()}


def _run_of(model: ir.Model) -> Run:
    shapes = {str(one.name): list(one.shape or ())[1:] for one in model.graph.inputs}
    sizes = {name: [int(str(size)) for size in shape] for name, shape in shapes.items()}
    return partial(_ready, Runner(as_file(model)), sizes)


def _ready(runner: Runner, sizes: Mapping[str, Sequence[int]], batch: int) -> Callable[[], object]:
    """Runs a graph on a batch of something."""
    fed = {name: np.ones((batch, *shape), np.float32) for name, shape in sizes.items()}
    return partial(runner.run, fed)
