"""Runs ReassembleModel: reads models, has a worker choose and stitch blocks, makes the pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sliceandpack.operation.v1.operation_events_pb2 import Progress
from sliceandpack.packer.v1 import packs_pb2 as packs
from sliceandpack.packer.v1 import reassembly_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from packer_svc.block_sources import BlockSources, as_fed, block_sources, refuse_lost
from packer_svc.convert.packs import decode_head
from packer_svc.convert.reassembly import BLOCKS, budgets_of
from packer_svc.deployments.gate import Gate
from packer_svc.handlers.create_pack import made_id
from packer_svc.handlers.make_pack import PackMaker, Work, job_part
from packer_svc.jobs import entries
from packer_svc.origins import whole_origin
from packer_svc.recipe import Ingredient, PackRecipe, combine, ensemble_size
from packer_svc.sizing import ROUNDS, TOLERANCE, TooSlowError
from packer_svc.slicer_client import SlicerClient
from packer_svc.store.failures import latency_missed, unknown_class
from packer_svc.store.network_failures import budgets_unreachable, fed_otherwise
from svckit.foundation import Foundation
from svckit.input_spec import InputSpec
from svckit.operations.job import JobContext

_NETWORK = "network.onnx"


class ReassemblyHandlers:
    """Makes packs of one network.

    Args:
        foundation: What the service stands on.
        slicer: Where models come from.
        maker: Makes packs.
        gate: Which packs may be deployed.
        features: A folder for what was measured of models; the maker of packs keeps it small.
    """

    def __init__(
        self,
        foundation: Foundation,
        slicer: SlicerClient,
        maker: PackMaker,
        gate: Gate,
        features: Path,
    ) -> None:
        self._foundation = foundation
        self._features = features
        self._slicer = slicer
        self._maker = maker
        self._gate = gate

    async def reassemble(
        self, context: JobContext, request: pb.ReassembleModelRequest
    ) -> packs.Pack:
        """Makes a pack of one network of several models' blocks.

        Raises:
            ServiceError: A model is gone or fed otherwise, budgets cannot be met, or a worker
                failed.
        """
        pack_id = request.pack_id or made_id(context)
        earlier = await self._maker.earlier(context, pack_id)
        if earlier is not None:
            return self._gate.shown(earlier)
        context.note(Progress(phase="fetch", done=0, total=1, eta_seconds=-1))
        parts = await self._parts(request)
        budgets = _Budgets(request.budget, ensemble_size(parts.ingredients))
        measured: list[float] = []
        while True:
            reassembly, graph = await self._network(context, request, parts, budgets)
            recipe = PackRecipe(
                pack_id,
                request.display_name,
                [],
                decode_head(packs.HeadSpec(seed=request.seed)),
                packs.PackOptions(),
            )
            ready = [
                replace(one, origin=replace(one.origin, graph_digest=graph))
                for one in parts.ingredients
            ]
            work = _joining(reassembly, budgets)
            try:
                made = await self._maker.join(context, recipe, ready, parts.inputs, work)
            except TooSlowError as slow:
                measured.append(slow.milliseconds)
            else:
                return self._gate.shown(made)
            if len(measured) == ROUNDS:
                raise latency_missed(budgets.milliseconds or 0.0, measured)
            budgets.tighten(measured[-1])

    async def _parts(self, request: pb.ReassembleModelRequest) -> _Parts:
        """What the network is made of, read from the slicer.

        Raises:
            ServiceError: The slicer cannot be reached, or a model that the request names does not
                serve.
        """
        names = list(dict.fromkeys(one.model for one in request.classes))
        models = await self._slicer.models(names)
        ingredients = _ingredients(request, dict(zip(names, models, strict=True)))
        inputs = ingredients[0].origin.inputs
        sources = await block_sources(self._slicer, request, models, inputs)
        own = [d for i in ingredients for d in (i.origin.graph_digest, i.origin.samples_digest)]
        with self._foundation.scratch() as folder:
            files, lost = await self._slicer.fetch_what_is_there([*sources.digests, *own], folder)
        refuse_lost(models, lost)
        return _Parts(ingredients, sources.without(lost), files)

    async def _network(
        self,
        context: JobContext,
        request: pb.ReassembleModelRequest,
        parts: _Parts,
        budgets: _Budgets,
    ) -> tuple[dict[str, Any], str]:
        """Has a network made; returns what it is made of, and the digest of its graph.

        Raises:
            ServiceError: Budgets cannot be met, or a worker failed.
        """
        with self._foundation.scratch() as folder:
            answer = await self._foundation.workers.run(
                entries.REASSEMBLE,
                {
                    "folder": str(folder),
                    "sources": parts.sources.for_worker(parts.files),
                    "classes": [job_part(one, parts.files) for one in parts.ingredients],
                    "inputs": [one.to_json() for one in parts.inputs],
                    "budgets": budgets.absolute(),
                    "blocks": request.blocks or BLOCKS,
                    "steps": request.training_steps,
                    "seed": request.seed,
                    "features": str(self._features),
                },
                on_progress=lambda step: context.note(Progress(**step, eta_seconds=-1)),
                cancel=context.cancelled,
            )
            if "least" in answer:
                raise budgets_unreachable(budgets.asked, budgets.told(answer["least"]))
            stored = await self._foundation.artifacts.put_file(Path(folder) / _NETWORK)
        return answer["reassembly"], stored.digest


@dataclass(frozen=True)
class _Parts:
    """What a network is made of.

    Attributes:
        ingredients: The wanted classes, each standing for a fragment that was not sliced.
        sources: The models that blocks are taken from.
        files: The artifacts of both, by digest.
    """

    ingredients: Sequence[Ingredient]
    sources: BlockSources
    files: Mapping[str, Path]

    @property
    def inputs(self) -> Sequence[InputSpec]:
        """What all of them are fed."""
        return self.ingredients[0].origin.inputs


def _ingredients(
    request: pb.ReassembleModelRequest, known: Mapping[str, models_pb2.Model]
) -> Sequence[Ingredient]:
    """The wanted classes.

    Raises:
        InvalidArgument: CLASS_UNKNOWN; or FRAGMENTS_INCOMPATIBLE, their models are fed otherwise.
    """
    for one in request.classes:
        if one.label not in known[one.model].labels:
            raise unknown_class(one.model, one.label, known[one.model].labels)
    origins = [whole_origin(known[one.model], one.label) for one in request.classes]
    parts = [packs.PackFragment(fragment=one.model, label=one.output) for one in request.classes]
    for origin in origins:
        if as_fed(origin.inputs) != as_fed(origins[0].inputs):
            raise fed_otherwise(origins[0].fragment, origin.fragment)
    return combine(parts, origins)


class _Budgets:
    """What was asked for, and what workers are told.

    Args:
        budget: As requested.
        size: Parameters and MACs of the full originals.
    """

    def __init__(self, budget: pb.ReassemblyBudget, size: Mapping[str, int]) -> None:
        self.asked = budgets_of(budget)
        # What one of each unit is in what blocks are counted in.
        self._units = {
            "parameters": ("parameters", float(size["parameters"])),
            "macs": ("macs", float(size["macs"])),
            "latency_ms": ("seconds", 1e-3),
        }
        self._patience = 1.0

    @property
    def milliseconds(self) -> float | None:
        """The time asked for, if any."""
        return self.asked.get("latency_ms")

    def tighten(self, measured: float) -> None:
        """Allows blocks less time after a pack that took longer than was asked for."""
        self._patience *= (self.milliseconds or measured) / measured

    def require(self, milliseconds: float) -> None:
        """Refuses a pack that takes too long.

        Raises:
            TooSlowError: It takes longer than was asked for, by more than `TOLERANCE`.
        """
        if self.milliseconds is not None and milliseconds > (1 + TOLERANCE) * self.milliseconds:
            raise TooSlowError(milliseconds)

    def absolute(self) -> dict[str, float]:
        """In parameters, MACs and seconds."""
        found = {self._units[n][0]: v * self._units[n][1] for n, v in self.asked.items()}
        if "seconds" in found:
            found["seconds"] *= self._patience
        return found

    def told(self, absolute: Mapping[str, float]) -> dict[str, float]:
        """The same the other way round."""
        return {n: absolute[self._units[n][0]] / self._units[n][1] for n in self.asked}


def _joining(reassembly: dict[str, Any], budgets: _Budgets) -> Work:
    """The joining of a network's classes, told and timed as one network."""

    def conclude(found: dict[str, Any]) -> None:
        budgets.require(1_000 * found["proof_summary"]["run_time"]["single_seconds"])
        found["reassembly"] = reassembly

    # What the lineage names is there when the models are gone from the slicer.
    kept = {
        f"block-{place}": block["graphDigest"] for place, block in enumerate(reassembly["blocks"])
    }
    return Work(entries.PACK, {"budget": None, "reassembly": reassembly}, conclude, kept)
