"""Which of several equal graphs of a pack is quickest here, by measurement made once.

Convolutions of several branches that read one picture can run apart or as one. Neither is best
everywhere: on a processor with AVX-512 one is a tenth quicker in eight-bit integers and a twentieth
slower in float32.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

import onnx
from onnx_ir.passes.common import RemoveUnusedNodesPass

from onnxgraph.passes.stack_siblings import StackSiblings
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.fusion.kept_files import keep
from packer_svc.fusion.precision import Lowered
from packer_svc.fusion.probes import Inputs
from packer_svc.fusion.processor import processor
from packer_svc.fusion.run_time import RunTime, run_time

WORTH = 0.97
"""Of the time of separate branches: another layout is taken below it. What is nearer is noise."""

FORMAT = "1"
"""Changes whenever kept times would mean something else."""


class Layout(StrEnum):
    """How a pack's branches are laid out."""

    SEPARATE = "separate"
    """Every branch for itself, as merged."""
    STACKED = "stacked"
    """Convolutions of one value as one."""


@dataclass(frozen=True)
class Laid:
    """A pack in the quickest of its layouts, or as merged where none is clearly quicker.

    Attributes:
        layout: The layout.
        pack: The float32 pack in it.
        lowered: The same in the precision that is served.
        times: By layout, how long it runs.
    """

    layout: Layout
    pack: bytes
    lowered: Lowered
    times: Mapping[Layout, RunTime]

    @property
    def time(self) -> RunTime:
        """How long the chosen one runs."""
        return self.times[self.layout]


def layouts(pack: bytes) -> Mapping[Layout, bytes]:
    """A pack in all layouts that differ.

    Args:
        pack: What `build_pack` made.
    """
    model = from_trusted_bytes(pack, shapes=False)
    if not StackSiblings()(model).modified:
        return {Layout.SEPARATE: pack}
    RemoveUnusedNodesPass()(model)
    return {Layout.SEPARATE: pack, Layout.STACKED: to_bytes(model)}


def quickest(
    pack: bytes,
    samples: Inputs,
    lower: Callable[[bytes], Lowered],
    *,
    threads: int,
    table: Path | None = None,
) -> Laid:
    """Tries all layouts of a pack, unless packs of the same structure were tried before.

    Args:
        pack: What `build_pack` made.
        samples: What it is run on, one array per input by its name.
        lower: Brings a float32 pack to the precision that is served.
        threads: Layouts tried at once, each on one thread.
        table: A folder of times, by the graphs' structure: the same pack is laid out the same way
            again. None keeps nothing.

    Raises:
        FusionError: See `precision.lower`.
        GraphError: ONNX Runtime cannot run the result.
    """
    found = layouts(pack)
    with ThreadPoolExecutor(threads) as pool:
        lowered = dict(zip(found, pool.map(lower, found.values()), strict=True))
        graphs = {layout: one.graph for layout, one in lowered.items()}
        path = None if table is None else table / f"{_key(graphs)}.layout.json"
        times = _kept(path, found)
        if times is None:
            timed = pool.map(lambda graph: run_time(graph, samples), graphs.values())
            times = dict(zip(graphs, timed, strict=True))
            if path is not None:
                keep(path, _bytes_of(times))
    best = min(times, key=lambda layout: times[layout].batch_seconds)
    if times[best].batch_seconds > WORTH * times[Layout.SEPARATE].batch_seconds:
        best = Layout.SEPARATE
    return Laid(best, found[best], lowered[best], times)


def _key(graphs: Mapping[Layout, bytes]) -> str:
    """Names graphs by all but the values of their weights, and by what ran them."""
    found = hashlib.sha256("\n".join([FORMAT, version("onnxruntime"), processor()]).encode())
    for graph in graphs.values():
        proto = onnx.load_from_string(graph)
        for tensor in proto.graph.initializer:
            tensor.ClearField("raw_data")
        found.update(proto.SerializeToString(deterministic=True))
    return found.hexdigest()


def _kept(path: Path | None, wanted: Collection[Layout]) -> dict[Layout, RunTime] | None:
    """Times that were measured before; None where there are none, or the file is damaged."""
    if path is None:
        return None
    try:
        kept = json.loads(path.read_text())
        found = {Layout(name): RunTime(**time) for name, time in kept.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return found if set(found) == set(wanted) else None


def _bytes_of(times: Mapping[Layout, RunTime]) -> bytes:
    return json.dumps({layout.value: asdict(time) for layout, time in times.items()}).encode()
