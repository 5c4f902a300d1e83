"""What a group of sibling layers costs in each of its layouts on this machine, measured once."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime

from onnxgraph.parity import Runner
from onnxgraph.siblings.alone import alone, as_file
from onnxgraph.siblings.find import Layout, Siblings, groups_of, reader_of, weight_shape_of
from onnxgraph.siblings.joined import axis_of
from packer_svc.fusion.kept_files import keep
from packer_svc.fusion.processor import processor

Feed = Mapping[str, npt.NDArray[np.float32]]
Seconds = Mapping[Layout, float]

FORMAT = "2"
"""Changes whenever kept times would mean something else."""

MOST_TIMED = 3
"""Of siblings of equal shape: more of them take as much longer, and a pack of one class more asks
nothing new."""

BATCH = 8
REPEATS = 4
MOST_DENSE_WEIGHTS = 1 << 16
"""A block-diagonal weight of more elements is not tried: m branches cost it m times the arithmetic,
and only the smallest layers spend their time on anything else."""


class CostTable:
    """Times of sibling layers, kept by all but the values of their weights.

    Args:
        folder: Where they are kept for the next pack; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[str, Seconds] = {}

    def seconds(self, siblings: Siblings) -> Seconds:
        """Seconds of a batch of `BATCH` on one thread, by layout.

        A joined layer is timed without the Concat before it and the Split behind it, which fall
        away between two of them. Where a size other than the batch is open, nothing can be timed
        without a sample: nothing is told, and they stay apart.

        Raises:
            GraphError: ONNX Runtime cannot run a layer.
        """
        few = siblings
        if Layout.STACKED not in siblings.layouts:
            few = replace(siblings, members=siblings.members[:MOST_TIMED])
        signature = signature_of(few)
        if signature not in self._known:
            kept = self._kept(signature)
            self._known[signature] = self._measured(signature, few) if kept is None else kept
        share = len(siblings.members) / len(few.members)
        return {layout: share * one for layout, one in self._known[signature].items()}

    def _measured(self, signature: str, siblings: Siblings) -> Seconds:
        found = _timed(siblings)
        if self._folder is not None:
            keep(self._path(signature), json.dumps(found).encode())
        return found

    def _kept(self, signature: str) -> Seconds | None:
        if self._folder is None:
            return None
        try:
            kept = json.loads(self._path(signature).read_text())
            return {Layout(name): float(seconds) for name, seconds in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def _path(self, signature: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{signature}.layer.json"


def signature_of(siblings: Siblings) -> str:
    """Names siblings by all that their times depend on, and by what runs them."""
    first = siblings.members[0]
    told = {
        "machine": machine(),
        "operator": first.op_type,
        "attributes": sorted(
            (name, str(one.value)) for name, one in first.attributes.items() if name != "group"
        ),
        "input": _sizes(first),
        "members": sorted((*weight_shape_of(node), groups_of(node)) for node in siblings.members),
        "read_by": reader_of(first),
        "layouts": list(siblings.layouts),
    }
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


@cache
def machine() -> list[str]:
    """What runs the layers: the format of what is kept, ONNX Runtime, the processor."""
    return [FORMAT, onnxruntime.__version__, processor()]


def _sizes(node: ir.Node) -> list[str]:
    """Sizes of what a layer reads, of one sample, its channels aside."""
    data = node.inputs[0]
    sizes = [str(size) for size in (data.shape or ())] if data is not None else []
    if sizes:
        del sizes[axis_of(node)]
    return sizes[1:]


def _timed(siblings: Siblings) -> Seconds:
    wanted = [one for one in siblings.layouts if _is_small(siblings, one)]
    if len(wanted) == 1 or not all(size.isdecimal() for size in _sizes(siblings.members[0])):
        return {}
    loaded = {layout: _loaded(alone(siblings, layout, BATCH)) for layout in wanted}
    best = dict.fromkeys(loaded, float("inf"))
    for _ in range(REPEATS):
        for layout, (runner, feed) in loaded.items():
            start = time.thread_time()
            runner.run(feed)
            best[layout] = min(best[layout], time.thread_time() - start)
    return best


def _is_small(siblings: Siblings, layout: Layout) -> bool:
    if layout is not Layout.BLOCK_DIAGONAL:
        return True
    shapes = [weight_shape_of(node) for node in siblings.members]
    rows, columns = (sum(shape[axis] for shape in shapes) for axis in (0, 1))
    return bool(rows * columns * np.prod(shapes[0][2:]) <= MOST_DENSE_WEIGHTS)


def _loaded(model: ir.Model) -> tuple[Runner, Feed]:
    """A graph and something to run it on."""
    generator = np.random.default_rng(0)
    shapes = {
        str(one.name): [int(str(size)) for size in one.shape or ()] for one in model.graph.inputs
    }
    feed = {name: generator.random(shape, dtype=np.float32) for name, shape in shapes.items()}
    return Runner(as_file(model)), feed
