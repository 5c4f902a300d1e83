"""Reassembles models: reads them and their samples, and writes the network that is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from onnxgraph.errors import GraphError
from onnxgraph.serialise import to_bytes
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.fusion.originals import timed_once
from packer_svc.jobs.class_samples import ClassReader, gather_samples, read_inputs
from packer_svc.reassembly.cutting import CutModel, cut
from packer_svc.reassembly.measured import MOST_SAMPLES
from packer_svc.reassembly.reassemble import (
    SECONDS,
    Reassembled,
    UnreachableError,
    Wish,
    can_be_cut,
    reassemble,
)
from packer_svc.reassembly.training import trained
from packer_svc.reassembly.views import Pictures, with_views
from svckit.input_spec import Image, InputSpec
from svckit.samples import read_checked, read_labels

AnyArray = NDArray[np.generic]
MOST_OTHERS = 512
"""How many samples of other classes stitches are fitted on as well."""
MOST_TOLD = 100
"""How many of the models left out are told."""
NETWORK = "network.onnx"
"""The file that the network is written to."""


def reassemble_models(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Reassembles models.

    Args:
        request: ``folder``, to which `NETWORK` goes; ``sources``: their ``models``, each with
            ``name``, ``graph`` and ``samples`` as paths, ``graph_digest`` and ``licence``, whether
            they were ``named``, and of others what is told as ``left_out`` and ``left_out_count``;
            ``classes`` as `pack_fragments` takes its fragments; ``inputs``, JSON of `InputSpec`;
            ``budgets`` of parameters, MACs and seconds; ``blocks``, ``steps`` and ``seed``; and
            ``features``, a folder of what was computed before.
        report: Takes ``{"phase", "layer", "done", "total"}``.

    Returns:
        ``reassembly``, protobuf's JSON of `Reassembly`; or ``least``, the smallest budgets that can
        be met, where those asked for cannot.

    Raises:
        FusionError: MODEL_UNCUTTABLE, no model or not each of those that were named can be cut; or
            the samples do not fit.
    """
    torch.set_num_threads(1)

    def tell(phase: str, done: int, total: int) -> None:
        report({"phase": phase, "layer": "", "done": done, "total": total})

    task = _Task.of(request, tell)
    try:
        found = reassemble(
            [one.model for one in task.sources],
            task.wish,
            tell,
            [one.piece_seconds for one in task.sources] if SECONDS in request["budgets"] else None,
        )
    except UnreachableError as error:
        return {"least": dict(error.least)}
    network = found.network
    if request["steps"]:
        network = trained(network, task.wish, request["steps"], partial(tell, "train"))
    (Path(request["folder"]) / NETWORK).write_bytes(to_bytes(network.graph()))
    return {"reassembly": _told(task, found) | _left_out(task, request["sources"])}


@dataclass(frozen=True, eq=False)
class _Source:
    """A model that blocks can be taken from.

    Attributes:
        model: The model, cut.
        told: What the request says of it.
        seconds: What it takes of one sample; None where time is not limited.
    """

    model: CutModel
    told: Mapping[str, Any]
    seconds: float | None

    @property
    def piece_seconds(self) -> list[float]:
        """What its pieces take: its time, shared out by their MACs."""
        macs = max(self.model.macs, 1)
        return [(self.seconds or 0.0) * piece.macs / macs for piece in self.model.pieces]


@dataclass(frozen=True, eq=False)
class _Task:
    """What was asked for, read.

    Attributes:
        sources: The models that blocks can be taken from.
        left_out: JSON of `ModelLeftOut` of those that cannot be cut.
        wish: The task itself.
    """

    sources: Sequence[_Source]
    left_out: Sequence[Mapping[str, str]]
    wish: Wish

    @classmethod
    def of(cls, request: Mapping[str, Any], tell: Callable[[str, int, int], None]) -> Self:
        """Reads models and samples.

        Raises:
            FusionError: MODEL_UNCUTTABLE, or the samples do not fit.
        """
        inputs = read_inputs(request["inputs"])
        samples = gather_samples(request["classes"], ClassReader(inputs))
        step = -(-len(samples.labels) // MOST_SAMPLES)
        few = {name: array[::step] for name, array in samples.inputs.items()}
        asked = request["sources"]
        sources, left_out = [], []
        for done, told in enumerate(asked["models"]):
            tell("cut", done, len(asked["models"]))
            try:
                model = _cut(told, few, request["blocks"])
                sources.append(_Source(model, told, _seconds(told, request)))
            except (FusionError, GraphError) as error:
                if asked["named"]:
                    raise _uncuttable([told["name"]], request["blocks"], error.message) from error
                why = {"reason": str(error.reason), "message": error.message}
                left_out.append({"model": told["name"], **why})
        if not sources:
            names = [one["model"] for one in left_out]
            raise _uncuttable(names, request["blocks"], left_out[0]["message"])
        wish = Wish(
            samples.inputs,
            samples.labels,
            int(samples.labels.max()) + 1,
            _others(request, samples.inputs, inputs),
            request["budgets"],
            request["blocks"],
            request["seed"],
        )
        return cls(sources, left_out, wish)


def _seconds(told: Mapping[str, Any], request: Mapping[str, Any]) -> float | None:
    """What a model takes of one sample, measured once a machine.

    Raises:
        GraphError: ONNX Runtime cannot run it.
    """
    if SECONDS not in request["budgets"]:
        return None
    times = OriginalTimes(Path(request["features"]))
    graph, samples = Path(told["graph"]), Path(told["samples"])
    return timed_once(told["graph_digest"], graph, samples, times).single_seconds


def _cut(told: Mapping[str, Any], samples: Mapping[str, AnyArray], blocks: int) -> CutModel:
    """A model, cut.

    Raises:
        FusionError: MODEL_UNCUTTABLE, it is not a chain of so many parts behind one input.
        GraphError: It has no linear classifier, or makes NaN or infinity of the samples.
    """
    if len(samples) > 1:
        raise _uncuttable([told["name"]], blocks, f"It has {len(samples)} inputs.")
    model = cut(told["name"], Path(told["graph"]).read_bytes(), samples)
    if not can_be_cut(model, blocks):
        parts = f"It is a chain of {len(model.pieces)} parts."
        raise _uncuttable([told["name"]], blocks, parts)
    return model


def _others(
    request: Mapping[str, Any], inputs: Mapping[str, AnyArray], specs: Sequence[InputSpec]
) -> dict[str, AnyArray]:
    """Samples of the models' other classes, evenly chosen; and views of pictures, where allowed."""
    wanted = {(one["samples"], one["class"]) for one in request["classes"]}
    left: dict[str, NDArray[np.int64]] = {}
    for path in dict.fromkeys(one["samples"] for one in request["sources"]["models"]):
        known = [number for file, number in wanted if file == path]
        left[path] = np.flatnonzero(~np.isin(read_labels(path), known))
    count = sum(map(len, left.values()))
    if not count:
        # All classes of all models are wanted.
        return {}
    step = -(-count // MOST_OTHERS)
    parts, before = [], 0
    for path, rows in left.items():
        chosen = rows[-before % step :: step]
        before += len(rows)
        if len(chosen):
            # One file after the other: together they may be larger than a worker's memory.
            arrays, _ = read_checked(path)
            parts.append({name: array[chosen] for name, array in arrays.items()})
    found = {name: np.concatenate([part[name] for part in parts]) for name in inputs}
    pictures = {
        spec.name: Pictures(spec.semantics.channels_last, spec.semantics.flip_invariant)
        for spec in specs
        if isinstance(spec.semantics, Image)
    }
    return with_views(found, pictures, request["seed"])


def _uncuttable(names: Sequence[str], blocks: int, why: str) -> FusionError:
    told = names[0] if len(names) == 1 else f"None of {len(names)} models"
    verb = "cannot" if len(names) == 1 else "can"
    return FusionError(
        FusionReason.MODEL_UNCUTTABLE,
        f"{told} {verb} be cut into {blocks} blocks. {why}",
        advice="Ask for fewer blocks, or name models with one input, a linear classifier, and as "
        "many layers that alone lead from one to the next.",
        metadata={"blocks": str(blocks), "models": ",".join(names[:10])},
    )


def _told(task: _Task, found: Reassembled) -> dict[str, Any]:
    """Protobuf's JSON of `Reassembly`."""
    first = found.judged[0].optimum
    blocks = []
    for block, stitch in zip(found.network.blocks, found.network.stitches, strict=True):
        source = task.sources[block.model]
        pieces = source.model.pieces[block.first : block.end]
        blocks.append(
            {
                "model": source.told["name"],
                "graphDigest": source.told["graph_digest"],
                "licence": source.told["licence"],
                "firstValue": pieces[0].start,
                "lastValue": pieces[-1].end,
                "parameters": sum(piece.parameters for piece in pieces),
                "macs": sum(piece.macs for piece in pieces),
                "stitchParameters": stitch.parameters if stitch else 0,
            }
        )
    return {
        "blocks": blocks,
        "models": len(task.sources),
        "score": first.score,
        "bound": first.bound,
        "gap": first.gap,
        "judged": len(found.judged),
        "kept": found.best + 1,
    }


def _left_out(task: _Task, sources: Mapping[str, Any]) -> dict[str, Any]:
    """Which models no blocks could be taken from; what others than this job know comes last."""
    told = [*task.left_out, *sources["left_out"]]
    count = len(task.left_out) + sources["left_out_count"]
    return {"leftOut": told[:MOST_TOLD], "leftOutCount": count}
