"""Runs ReassembleModel: reads models, has a worker choose and stitch blocks, makes the pack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sliceandpack.operation.v1.operation_events_pb2 import Progress
from sliceandpack.packer.v1 import packs_pb2 as packs
from sliceandpack.packer.v1 import reassembly_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from packer_svc.convert.packs import decode_head
from packer_svc.convert.reassembly import BLOCKS, MAX_MODELS, budgets_of
from packer_svc.deployments.gate import Gate
from packer_svc.handlers.create_pack import made_id
from packer_svc.handlers.make_pack import PackMaker, Work, job_part
from packer_svc.jobs import entries
from packer_svc.origins import Origin, whole_origin
from packer_svc.recipe import Ingredient, PackRecipe, combine, ensemble_size
from packer_svc.sizing import ROUNDS, TOLERANCE, TooSlowError
from packer_svc.slicer_client import SlicerClient
from packer_svc.store.failures import (
    budgets_unreachable,
    fed_otherwise,
    latency_missed,
    unknown_class,
)
from svckit.artifacts.digests import digest_from_name
from svckit.foundation import Foundation
from svckit.input_messages import decode_input
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
    """

    def __init__(
        self, foundation: Foundation, slicer: SlicerClient, maker: PackMaker, gate: Gate
    ) -> None:
        self._foundation = foundation
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
        ingredients = await self._ingredients(request)
        inputs = ingredients[0].origin.inputs
        models = await self._models(request, inputs)
        budgets = _Budgets(request.budget, ensemble_size(ingredients))
        measured: list[float] = []
        while True:
            reassembly, origins = await self._network(
                context, request, (ingredients, models, inputs), budgets
            )
            recipe = PackRecipe(
                pack_id,
                request.display_name,
                [],
                decode_head(packs.HeadSpec(seed=request.seed)),
                packs.PackOptions(),
            )
            ready = [
                replace(one, origin=origin)
                for one, origin in zip(ingredients, origins, strict=True)
            ]
            work = _joining(reassembly, budgets)
            try:
                made = await self._maker.join(context, recipe, ready, inputs, work)
            except TooSlowError as slow:
                measured.append(slow.milliseconds)
            else:
                return self._gate.shown(made)
            if len(measured) == ROUNDS:
                raise latency_missed(budgets.milliseconds or 0.0, measured)
            budgets.tighten(measured[-1])

    async def _ingredients(self, request: pb.ReassembleModelRequest) -> Sequence[Ingredient]:
        """The wanted classes, each standing for a fragment that was not sliced."""
        names = list(dict.fromkeys(one.model for one in request.classes))
        known = dict(zip(names, await self._slicer.models(names), strict=True))
        for one in request.classes:
            if one.label not in known[one.model].labels:
                raise unknown_class(one.model, one.label, known[one.model].labels)
        origins = [whole_origin(known[one.model], one.label) for one in request.classes]
        parts = [
            packs.PackFragment(fragment=one.model, label=one.output) for one in request.classes
        ]
        for origin in origins:
            if _fed(origin.inputs) != _fed(origins[0].inputs):
                raise fed_otherwise(origins[0].fragment, origin.fragment)
        return combine(parts, origins)

    async def _models(
        self, request: pb.ReassembleModelRequest, inputs: Sequence[InputSpec]
    ) -> list[models_pb2.Model]:
        """The models that blocks are taken from, each graph once.

        Raises:
            InvalidArgument: FRAGMENTS_INCOMPATIBLE, a model that was named is fed otherwise.
        """
        first = request.classes[0].model
        if request.models:
            found = await self._slicer.models(list(request.models))
            for model in found:
                if not _fed_so(model, inputs):
                    raise fed_otherwise(first, model.name)
        else:
            market = await self._slicer.newest_models(MAX_MODELS)
            found = [model for model in market if _fed_so(model, inputs)]
        # By name, so that the order in which they came changes nothing.
        ordered = sorted(found, key=lambda model: model.name, reverse=True)
        different = {model.normalised_graph.name: model for model in ordered}
        return sorted(different.values(), key=lambda model: model.name)

    async def _network(
        self,
        context: JobContext,
        request: pb.ReassembleModelRequest,
        sources: tuple[Sequence[Ingredient], Sequence[models_pb2.Model], Sequence[InputSpec]],
        budgets: _Budgets,
    ) -> tuple[dict[str, Any], list[Origin]]:
        """Has a network made; returns what it is made of, and the classes with it as their graph.

        Raises:
            ServiceError: Budgets cannot be met, or a worker failed.
        """
        ingredients, models, inputs = sources
        digests = [digest_from_name(model.normalised_graph.name) for model in models]
        samples = [digest_from_name(model.samples.name) for model in models]
        with self._foundation.scratch() as folder:
            own = [d for i in ingredients for d in (i.origin.graph_digest, i.origin.samples_digest)]
            files = await self._slicer.fetch_all([*digests, *samples, *own], folder)
            answer = await self._foundation.workers.run(
                entries.REASSEMBLE,
                {
                    "folder": str(folder),
                    "models": [_job_model(model, files) for model in models],
                    "classes": [job_part(one, files) for one in ingredients],
                    "inputs": [one.to_json() for one in inputs],
                    "budgets": budgets.absolute(),
                    "blocks": request.blocks or BLOCKS,
                    "steps": request.training_steps,
                    "seed": request.seed,
                },
                on_progress=lambda step: context.note(Progress(**step, eta_seconds=-1)),
                cancel=context.cancelled,
            )
            if "least" in answer:
                raise budgets_unreachable(budgets.asked, budgets.told(answer["least"]))
            stored = await self._foundation.artifacts.put_file(Path(folder) / _NETWORK)
        digest = stored.digest
        return answer["reassembly"], [
            replace(one.origin, graph_digest=digest) for one in ingredients
        ]


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

    return Work(entries.PACK, {"budget": None}, conclude)


def _fed_so(model: models_pb2.Model, inputs: Sequence[InputSpec]) -> bool:
    return _fed(map(decode_input, model.inputs)) == _fed(inputs)


def _fed(inputs: Iterable[InputSpec]) -> tuple[InputSpec, ...]:
    return tuple(spec.as_fed() for spec in inputs)


def _job_model(model: models_pb2.Model, files: Mapping[str, Path]) -> dict[str, Any]:
    digest = digest_from_name(model.normalised_graph.name)
    return {
        "name": model.name,
        "graph": str(files[digest]),
        "samples": str(files[digest_from_name(model.samples.name)]),
        "graph_digest": digest,
        "licence": model.licence,
    }
