"""Makes a pack: reads fragments, joins them in a worker, keeps what is proven."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sliceandpack.operation.v1.operation_events_pb2 import Progress
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1.plans_pb2 import FrontPoint

from packer_svc.convert.packs import encode_pack, head_json, inputs_json, options_json
from packer_svc.feature_folder import trim
from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.handlers.evaluate import Evaluations
from packer_svc.handlers.originals import originals_of
from packer_svc.jobs import entries
from packer_svc.origins import Origin, kept_row
from packer_svc.recipe import (
    Ingredient,
    PackRecipe,
    combine,
    ensemble_size,
    inputs_of,
    labels_of,
    refuse_duplicates,
)
from packer_svc.references import HeldReferences
from packer_svc.resizing import Resizer
from packer_svc.sizing import Order, TooSlowError
from packer_svc.slicer_client import SlicerClient, all_of
from packer_svc.store import packs
from packer_svc.store.tables import PackRow
from svckit.artifacts.digests import Artifact, digest_from_name
from svckit.foundation import Foundation
from svckit.input_spec import InputSpec
from svckit.operations.job import JobContext

_FILES = {
    "graph": "pack.onnx",
    "manifest": "manifest.json",
    "proof": "proof.json",
    "smoke": "smoke.npz",
    "report": "report.html",
}


@dataclass(frozen=True)
class Means:
    """What the making of packs may use.

    Attributes:
        threads: Fragments that run at once.
        features: A folder for what fragments said about samples.
        features_bytes: What may be kept there.
    """

    threads: int
    features: Path
    features_bytes: int


@dataclass(frozen=True)
class Sized:
    """What takes the place of the fragments that were named, with a budget.

    Attributes:
        order: The size that is asked for.
        points: What it is planned as, by branch.
        fragments: New fragments of the same classes, in the same order.
        budget: What the worker is told of it.
    """

    order: Order
    points: Sequence[FrontPoint]
    fragments: Sequence[pb.PackFragment]
    budget: dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What a worker makes of fragments.

    Attributes:
        entry: The job.
        request: What it is told beside what all of them are.
        conclude: Takes what it found, of which the fields of a row stay; may refuse it, by raising.
        keeps: By role the digests of what the pack keeps beside its fragments.
    """

    entry: str
    request: Mapping[str, Any]
    conclude: Callable[[dict[str, Any]], None] = lambda _found: None
    keeps: Mapping[str, str] = field(default_factory=dict)


class PackMaker:
    """Makes packs.

    Args:
        foundation: What the service stands on.
        slicer: Where fragments come from.
        references: Holds fragments in the slicer.
        resizer: Orders fragments of other sizes.
        means: What it may use.
        evaluations: Prepares what packs are judged by.
    """

    def __init__(
        self,
        foundation: Foundation,
        slicer: SlicerClient,
        references: HeldReferences,
        resizer: Resizer,
        means: Means,
        evaluations: Evaluations,
    ) -> None:
        self._evaluations = evaluations
        self._foundation = foundation
        self._slicer = slicer
        self._references = references
        self._resizer = resizer
        self._means = means

    async def make(self, context: JobContext, recipe: PackRecipe) -> pb.Pack:
        """Makes and keeps a pack.

        Raises:
            ServiceError: A fragment is gone, they do not fit, the proof failed, or a worker did.
        """
        earlier = await self.earlier(context, recipe.pack_id)
        if earlier is not None:
            return earlier
        refuse_duplicates(recipe.fragments)
        context.note(Progress(phase="fetch", done=0, total=1, eta_seconds=-1))
        ingredients = combine(recipe.fragments, await self._origins(recipe))
        inputs = inputs_of(ingredients, recipe.options)
        if recipe.options.HasField("budget"):
            return await self._to_order(context, recipe, ingredients, inputs)
        return await self.join(context, recipe, ingredients, inputs, _joining(None))

    async def earlier(self, context: JobContext, pack_id: str) -> pb.Pack | None:
        """Returns the pack that an earlier attempt of an operation has kept.

        Raises:
            AlreadyExists: Another operation's has the name.
        """
        async with self._foundation.database.reading() as session:
            kept = await session.get(PackRow, pack_id)
            if kept is not None and kept.operation == context.job.operation:
                return encode_pack(kept)
            await packs.refuse_taken(session, pack_id)
        return None

    async def _to_order(
        self,
        context: JobContext,
        recipe: PackRecipe,
        named: Sequence[Ingredient],
        inputs: Sequence[InputSpec],
    ) -> pb.Pack:
        """Makes a pack of smaller and smaller fragments until it is as quick as it was ordered.

        Sizes are predicted to the parameter; only time has to be measured.
        """
        order = Order.of(recipe.options, named)
        while True:
            sized = await self._resized(context, order, named)
            resized = replace(recipe, fragments=sized.fragments)
            ingredients = combine(resized.fragments, await self._origins(resized))
            try:
                work = _joining(sized)
                return await self.join(context, resized, ingredients, inputs, work)
            except TooSlowError as slow:
                order = order.after(sized.points, slow)

    async def _resized(
        self, context: JobContext, order: Order, named: Sequence[Ingredient]
    ) -> Sized:
        """Has the classes of the fragments named sliced anew, at sizes that meet the budget."""
        with self._foundation.scratch() as folder:
            # Read now: nothing holds them in the slicer.
            before = await self._job_parts(named, folder)
        found = await self._resizer.resize(context, order, named)
        fragments = [
            pb.PackFragment(fragment=name, label=one.label)
            for name, one in zip(found.fragments, named, strict=True)
        ]
        told = order.told(found.points, found.shared)
        budget = {**told, "most": order.most, "before": before, "after": list(found.fragments)}
        return Sized(order, found.points, fragments, budget)

    async def _origins(self, recipe: PackRecipe) -> list[Origin]:
        """Returns the fragments; the slicer is asked only for those that no pack kept."""
        names = [part.fragment for part in recipe.fragments]
        new = [name for name in names if name not in recipe.kept]
        told = dict(zip(new, await self._slicer.origins(new), strict=True))
        return [recipe.kept[name] if name in recipe.kept else told[name] for name in names]

    async def join(
        self,
        context: JobContext,
        recipe: PackRecipe,
        ingredients: Sequence[Ingredient],
        inputs: Sequence[InputSpec],
        work: Work,
    ) -> pb.Pack:
        """Makes a pack of fragments, which are held from now on, and keeps it.

        Raises:
            ServiceError: A fragment is gone, the proof failed, or a worker did.
        """
        await self._references.take(
            f"packs/{recipe.pack_id}",
            context.job.operation,
            [part.fragment for part in recipe.fragments],
            recipe.kept.keys(),
        )
        size = ensemble_size(ingredients)
        with self._foundation.scratch() as folder:
            parts = await self._job_parts(ingredients, folder)
            evaluation = await self._evaluations.prepare(context, recipe, parts, folder)
            found = await self._foundation.workers.run(
                work.entry,
                {
                    "folder": str(folder),
                    "labels": labels_of(ingredients),
                    "head": asdict(recipe.head),
                    "options": options_json(recipe.options),
                    "inputs": [one.to_json() for one in inputs],
                    "ensemble": size,
                    "originals": await self._originals(ingredients, folder),
                    "title": self._title(recipe),
                    "features": str(self._means.features),
                    "threads": self._means.threads,
                    "fragments": parts,
                    "evaluation": evaluation,
                    **work.request,
                },
                on_progress=lambda step: context.note(Progress(**step, eta_seconds=-1)),
                cancel=context.cancelled,
            )
            work.conclude(found)
            put = self._foundation.artifacts.put_file
            kept = await all_of(put(folder / name) for name in _FILES.values())
        stored = dict(zip(_FILES, kept, strict=True))
        await asyncio.to_thread(trim, self._means.features, self._means.features_bytes)
        row = _new_row(recipe, ingredients, found, stored)
        row.inputs = inputs_json(inputs)
        row.operation = context.job.operation
        row.create_time = self._foundation.clock.now()
        row.ensemble_parameters, row.ensemble_macs = size["parameters"], size["macs"]
        async with self._foundation.database.writing() as session:
            await packs.insert(session, row)
            used = {role: artifact.digest for role, artifact in stored.items()}
            used |= _inputs_of(recipe, ingredients) | dict(work.keeps)
            await self._foundation.references.add_all(session, row.name, used)
            return encode_pack(row)

    def _title(self, recipe: PackRecipe) -> dict[str, str]:
        now = self._foundation.clock.now().isoformat(timespec="seconds")
        name = f"packs/{recipe.pack_id}"
        return {"name": name, "display_name": recipe.display_name, "made": now}

    async def _originals(
        self, ingredients: Sequence[Ingredient], folder: Path
    ) -> list[dict[str, Any]]:
        times = OriginalTimes(self._means.features)
        return await originals_of(ingredients, self._slicer, times, folder)

    async def _job_parts(
        self, ingredients: Sequence[Ingredient], folder: Path
    ) -> list[dict[str, Any]]:
        wanted = [digest for one in ingredients for _, digest in _copies(0, one)]
        files = await self._slicer.fetch_all(wanted, folder)
        return [job_part(one, files) for one in ingredients]


def _joining(sized: Sized | None) -> Work:
    """The joining of fragments, sized to order or not."""

    def conclude(found: dict[str, Any]) -> None:
        if sized is not None:
            run_time = found["proof_summary"]["run_time"]
            sized.order.require(1_000 * run_time["single_seconds"])

    budget = None if sized is None else sized.budget
    return Work(entries.PACK, {"budget": budget, "reassembly": None}, conclude)


def job_part(one: Ingredient, files: Mapping[str, Path]) -> dict[str, Any]:
    """What a worker is told of a fragment."""
    origin = one.origin
    return {
        "graph": str(files[origin.graph_digest]),
        "samples": str(files[origin.samples_digest]),
        "class": origin.source_class,
        "inputs": [one.to_json() for one in origin.inputs],
        "model_labels": list(origin.model.labels),
        "output": one.output,
        "part": {
            "fragment": origin.fragment,
            "label": one.label,
            "graph_digest": origin.graph_digest,
            "samples_digest": origin.samples_digest,
            "licence": origin.licence,
        },
    }


def _inputs_of(recipe: PackRecipe, ingredients: Sequence[Ingredient]) -> dict[str, str]:
    """By role the digests of what a pack keeps of all that it was made of."""
    found = dict(pair for place, one in enumerate(ingredients) for pair in _copies(place, one))
    if recipe.options.evaluation_samples:
        found["evaluation-samples"] = digest_from_name(recipe.options.evaluation_samples)
    return found


def _copies(place: int, one: Ingredient) -> tuple[tuple[str, str], ...]:
    """The roles and digests of what a pack keeps of a fragment."""
    return (
        (f"fragment-{place}", one.origin.graph_digest),
        (f"samples-{place}", one.origin.samples_digest),
    )


def _new_row(
    recipe: PackRecipe,
    ingredients: Sequence[Ingredient],
    found: dict[str, Any],
    stored: dict[str, Artifact],
) -> PackRow:
    artifacts: dict[str, Any] = {}
    for role, artifact in stored.items():
        artifacts[f"{role}_digest"] = artifact.digest
        artifacts[f"{role}_size"] = artifact.size_bytes
    return PackRow(
        id=recipe.pack_id,
        display_name=recipe.display_name,
        head=head_json(recipe.head),
        options=options_json(recipe.options),
        labels=labels_of(ingredients),
        fragments=[kept_row(place, one.label, one.origin) for place, one in enumerate(ingredients)],
        **artifacts,
        **found,
    )
