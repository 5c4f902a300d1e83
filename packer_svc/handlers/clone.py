"""Runs CloneClasses, and RemoveClasses on what it has made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from sliceandpack.operation.v1.operation_events_pb2 import Progress
from sliceandpack.packer.v1 import cloning_pb2
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2, plans_pb2

from packer_svc.convert.cloning import BUDGET, clone_json, pack_label
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.handlers.make_pack import PackMaker, Work
from packer_svc.jobs import entries
from packer_svc.localising import Localiser
from packer_svc.origins import Origin, is_fragment, kept_origin, whole_origin
from packer_svc.recipe import Ingredient, PackRecipe, inputs_of
from packer_svc.slicer_client import SlicerClient
from packer_svc.store.failures import class_known, same_model, unknown_class
from packer_svc.store.tables import PackRow
from svckit.artifacts.digests import digest_from_name
from svckit.foundation import Foundation
from svckit.operations.job import JobContext


@dataclass(frozen=True)
class Parts:
    """What a clone is made of.

    Attributes:
        own: The target's own classes, the whole target for each.
        cloned: The cloned classes with what stands for them.
        clone: What is to be told of it, without position and cost.
        position: Where the part is to be put in; empty to have it chosen.
    """

    own: Sequence[Ingredient]
    cloned: Sequence[Ingredient]
    clone: cloning_pb2.Clone
    position: str


class CloneMaker:
    """Makes packs of a target and classes that are cloned into it.

    Args:
        foundation: What the service stands on.
        slicer: Where models are.
        localiser: Has their classes cut out.
        maker: Keeps packs.
    """

    def __init__(
        self, foundation: Foundation, slicer: SlicerClient, localiser: Localiser, maker: PackMaker
    ) -> None:
        self._foundation = foundation
        self._slicer = slicer
        self._localiser = localiser
        self._maker = maker

    async def clone(
        self, context: JobContext, request: cloning_pb2.CloneClassesRequest, pack_id: str
    ) -> pb.Pack:
        """Clones classes.

        Raises:
            InvalidArgument: A class is unknown, or known to the target; both models are one, or
                fed otherwise.
            ServiceError: A model is gone, the slicer or a worker failed, or the proof did.
        """
        earlier = await self._maker.earlier(context, pack_id)
        if earlier is not None:
            return earlier
        context.note(Progress(phase="fetch", done=0, total=1, eta_seconds=-1))
        target = await self._slicer.model(request.target)
        source = await self._slicer.model(request.source)
        refuse_unfit(target, source, request.classes)
        own = [
            Ingredient(whole_origin(target, label), label, place)
            for place, label in enumerate(target.labels)
        ]
        options = pb.PackOptions(evaluation_samples=request.evaluation_samples)
        # Models that are fed otherwise are refused before one of them is sliced.
        whole = whole_origin(source, request.classes[0].label)
        inputs_of([*own, Ingredient(whole, whole.label, len(own))], options)
        cloned = await self._localised(context, request, source, len(own))
        clone = cloning_pb2.Clone(
            target=target.name,
            target_graph=target.graph,
            source=source.name,
            classes=request.classes,
            spec=request.spec,
        )
        clone.spec.locator = request.spec.locator or cloning_pb2.CLONE_LOCATOR_FRAGMENTS
        parts = Parts(own, cloned, clone, request.spec.position)
        return await self._made(context, pack_id, request.display_name, options, parts)

    async def remove(
        self, context: JobContext, base: PackRow, request: pb.RemoveClassesRequest, pack_id: str
    ) -> pb.Pack:
        """Makes a clone without some of its cloned classes; without all of them, its target alone.

        Raises:
            ServiceError: What the clone keeps is damaged, a worker failed, or the proof did.
        """
        earlier = await self._maker.earlier(context, pack_id)
        if earlier is not None:
            return earlier
        clone = json_format.ParseDict(base.clone or {}, cloning_pb2.Clone())
        kept = [one for one in clone.classes if pack_label(one) not in request.labels]
        del clone.classes[:]
        clone.classes.extend(kept)
        rows = [one for one in base.fragments if one.label not in request.labels]
        found = [
            Ingredient(kept_origin(base, one), one.label, place) for place, one in enumerate(rows)
        ]
        count = len(found) - len(kept)
        if not kept:
            clone.source = ""
        parts = Parts(found[:count], found[count:], clone, clone.position)
        options = pb.PackOptions(evaluation_samples=request.evaluation_samples)
        return await self._made(context, pack_id, base.display_name, options, parts)

    async def _localised(
        self,
        context: JobContext,
        request: cloning_pb2.CloneClassesRequest,
        source: models_pb2.Model,
        first: int,
    ) -> list[Ingredient]:
        """The cloned classes with what stands for them; the first has the output `first`."""
        labels = [one.label for one in request.classes]
        origins: list[Origin]
        if request.spec.locator == cloning_pb2.CLONE_LOCATOR_MASKS:
            origins = [whole_origin(source, label) for label in labels]
        else:
            share = request.spec.budget_macs or BUDGET
            recipe = plans_pb2.Recipe(budget_macs=share, seed=request.spec.seed)
            names = await self._localiser.fragments(context, source.name, labels, recipe)
            origins = await self._slicer.origins(names)
        return [
            Ingredient(origin, pack_label(one), first + place)
            for place, (origin, one) in enumerate(zip(origins, request.classes, strict=True))
        ]

    async def _made(
        self,
        context: JobContext,
        pack_id: str,
        display_name: str,
        options: pb.PackOptions,
        parts: Parts,
    ) -> pb.Pack:
        ingredients = [*parts.own, *parts.cloned]
        fragments = [
            pb.PackFragment(fragment=one.origin.fragment, label=one.label) for one in ingredients
        ]
        kept = {one.origin.fragment: one.origin for one in ingredients}
        spec = parts.clone.spec
        head = HeadSpec(seed=spec.seed)
        recipe = PackRecipe(pack_id, display_name, fragments, head, options, kept)
        digest = digest_from_name(parts.clone.target_graph.name)
        with self._foundation.scratch() as folder:
            # The target's own file, so that it can be given back whatever becomes of the slicer.
            await self._slicer.fetch(digest, folder)
        work = Work(
            entries.CLONE,
            {
                "clone": {
                    "own": len(parts.own),
                    "masks": spec.locator == cloning_pb2.CLONE_LOCATOR_MASKS,
                    "position": parts.position,
                    "seed": spec.seed,
                    "told": _told(parts),
                }
            },
            lambda found: _conclude(found, parts.clone),
            {"target": digest},
        )
        inputs = inputs_of(ingredients, options)
        return await self._maker.join(context, recipe, ingredients, inputs, work)


def refuse_unfit(
    target: models_pb2.Model,
    source: models_pb2.Model,
    classes: Sequence[cloning_pb2.ClonedClass],
) -> None:
    """Refuses what cannot be cloned.

    Raises:
        InvalidArgument: CLONE_SAME_MODEL, CLASS_UNKNOWN or CLONE_CLASS_KNOWN.
    """
    graphs = (target.normalised_graph.name, source.normalised_graph.name)
    if target.name == source.name or graphs[0] == graphs[1]:
        raise same_model(target.name, source.name)
    for one in classes:
        if one.label not in source.labels:
            raise unknown_class(source.name, one.label, source.labels)
        if pack_label(one) in target.labels:
            raise class_known(target.name, pack_label(one))


def _told(parts: Parts) -> dict[str, Any]:
    """What manifest and proof say of both models."""
    clone = parts.clone
    return {
        "target": clone.target,
        "target_graph": digest_from_name(clone.target_graph.name),
        "source": clone.source,
        "classes": [{"label": one.label, "pack_label": pack_label(one)} for one in clone.classes],
        "locator": cloning_pb2.CloneLocator.Name(clone.spec.locator)
        .removeprefix("CLONE_LOCATOR_")
        .lower(),
        "fragments": [
            one.origin.fragment for one in parts.cloned if is_fragment(one.origin.fragment)
        ],
    }


def _conclude(found: dict[str, Any], clone: cloning_pb2.Clone) -> None:
    clone.position = found.pop("position")
    clone.added_parameters = found.pop("added_parameters")
    found["clone"] = clone_json(clone)
