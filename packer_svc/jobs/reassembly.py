"""Reassembles models: reads them and their samples, and writes the network that is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from onnxgraph.errors import GraphError
from onnxgraph.serialise import to_bytes
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.run_time import run_time
from packer_svc.jobs.class_samples import ClassReader, gather_samples, read_inputs
from packer_svc.reassembly.cutting import CutModel, cut
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
from svckit.samples import read_checked

AnyArray = NDArray[np.generic]
MOST_OTHERS = 512
"""How many samples of other classes stitches are fitted on as well."""
NETWORK = "network.onnx"
"""The file that the network is written to."""


def reassemble_models(
    request: dict[str, Any], report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Reassembles models.

    Args:
        request: ``folder``, to which `NETWORK` goes; ``models``, each with ``name``, ``graph`` and
            ``samples`` as paths, ``graph_digest`` and ``licence``; ``classes`` as `pack_fragments`
            takes its fragments; ``inputs``, JSON of `InputSpec`; ``budgets`` of parameters, MACs
            and seconds; ``blocks``, ``steps`` and ``seed``.
        report: Takes ``{"phase", "layer", "done", "total"}``.

    Returns:
        ``reassembly``, protobuf's JSON of `Reassembly`; or ``least``, the smallest budgets that can
        be met, where those asked for cannot.

    Raises:
        FusionError: MODEL_UNCUTTABLE, or the samples do not fit.
    """
    torch.set_num_threads(1)

    def tell(phase: str, done: int, total: int) -> None:
        report({"phase": phase, "layer": "", "done": done, "total": total})

    task = _Task.of(request, tell)
    try:
        found = reassemble([one.model for one in task.sources], task.wish, tell, task.seconds())
    except UnreachableError as error:
        return {"least": dict(error.least or {})}
    network = found.network
    if request["steps"]:
        tell("train", 0, 1)
        network = trained(network, task.wish, request["steps"])
    (Path(request["folder"]) / NETWORK).write_bytes(to_bytes(network.graph()))
    return {"reassembly": _told(task, found)}


@dataclass(frozen=True, eq=False)
class _Source:
    """A model that blocks can be taken from.

    Attributes:
        model: The model, cut.
        told: What the request says of it.
    """

    model: CutModel
    told: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class _Task:
    """What was asked for, read."""

    sources: Sequence[_Source]
    wish: Wish

    @classmethod
    def of(cls, request: Mapping[str, Any], tell: Callable[[str, int, int], None]) -> Self:
        """Reads models and samples.

        Raises:
            FusionError: MODEL_UNCUTTABLE, or the samples do not fit.
        """
        inputs = read_inputs(request["inputs"])
        samples = gather_samples(request["classes"], ClassReader(inputs))
        few = {name: array[:3] for name, array in samples.inputs.items()}
        sources = []
        for done, told in enumerate(request["models"]):
            tell("cut", done, len(request["models"]))
            model = _cut(told, few, request["blocks"])
            if model is not None:
                sources.append(_Source(model, told))
        if not sources:
            raise _uncuttable(request)
        wish = Wish(
            samples.inputs,
            samples.labels,
            int(samples.labels.max()) + 1,
            _others(request, samples.inputs, inputs),
            request["budgets"],
            request["blocks"],
            request["seed"],
        )
        return cls(sources, wish)

    def seconds(self) -> list[list[float]] | None:
        """What the pieces of every model take: its time, shared out by their MACs.

        None where time is not limited, for it has to be measured.
        """
        if SECONDS not in self.wish.budgets:
            return None
        found = []
        for source in self.sources:
            graph = Path(source.told["graph"]).read_bytes()
            whole = run_time(graph, self.wish.inputs, outputs=None).single_seconds
            pieces, macs = source.model.pieces, max(source.model.macs, 1)
            found.append([whole * piece.macs / macs for piece in pieces])
        return found


def _cut(told: Mapping[str, Any], few: Mapping[str, AnyArray], blocks: int) -> CutModel | None:
    """A model, cut; None where it is not a chain of enough parts between one input and a head."""
    if len(few) > 1:
        return None
    try:
        model = cut(told["name"], Path(told["graph"]).read_bytes(), few)
    except GraphError:
        return None
    return model if can_be_cut(model, blocks) else None


def _others(
    request: Mapping[str, Any], inputs: Mapping[str, AnyArray], specs: Sequence[InputSpec]
) -> dict[str, AnyArray]:
    """Samples of the models' other classes, evenly chosen; and views of pictures, where allowed."""
    wanted = {(one["samples"], one["class"]) for one in request["classes"]}
    parts: list[Mapping[str, AnyArray]] = []
    for path in dict.fromkeys(one["samples"] for one in request["models"]):
        arrays, labels = read_checked(path)
        known = [number for file, number in wanted if file == path]
        chosen = ~np.isin(labels, known)
        if chosen.any():
            parts.append({name: array[chosen] for name, array in arrays.items()})
    found = {
        name: np.concatenate([array[:0], *(part[name] for part in parts)])
        for name, array in inputs.items()
    }
    step = -(-max(len(next(iter(found.values()))), 1) // MOST_OTHERS)
    found = {name: array[::step] for name, array in found.items()}
    pictures = {
        spec.name: Pictures(spec.semantics.channels_last, spec.semantics.flip_invariant)
        for spec in specs
        if isinstance(spec.semantics, Image)
    }
    return with_views(found, pictures, request["seed"])


def _uncuttable(request: Mapping[str, Any]) -> FusionError:
    names = [one["name"] for one in request["models"]]
    return FusionError(
        FusionReason.MODEL_UNCUTTABLE,
        f"None of {len(names)} models can be cut into {request['blocks']} blocks: each needs one "
        "input, a linear classifier, and as many layers that alone lead from one to the next.",
        advice="Ask for fewer blocks, or name models of more layers one behind the other.",
        metadata={"blocks": str(request["blocks"]), "models": ",".join(names[:10])},
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
