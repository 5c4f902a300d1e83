"""Slices classes in a worker and keeps each fragment the moment it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sliceandpack.slicer.v1 import models_pb2 as pb

from slicer_svc.convert.fragments import encode_fragment
from slicer_svc.handlers.progress import step_of
from slicer_svc.handlers.slice_held_out import HeldOutSlicing
from slicer_svc.handlers.turns import Turns
from slicer_svc.jobs import entries
from slicer_svc.other_samples import OtherSamples
from slicer_svc.servicer.models import MODEL
from slicer_svc.servicer.plans import PLAN
from slicer_svc.slicing.version import METHOD_VERSION
from slicer_svc.store import fragments, models
from slicer_svc.store.tables import FragmentRow, ModelRow, PlanRow
from svckit.artifacts.digests import digest_of
from svckit.foundation import Foundation
from svckit.operations.job import JobContext

_FIGURES = (
    "kept_units",
    "feature_width",
    "parameters",
    "macs",
    "feature_error",
    "slice_seconds",
)
_OF_THE_CUT = (
    "plan_id",
    "graph_digest",
    "graph_size",
    "score_width",
    "method_version",
    "joint_labels",
    *_FIGURES,
)
"""What fragments of classes that were cut together have in common."""


@dataclass(frozen=True, eq=False)
class _Slicing:
    """One request with what it is about.

    Attributes:
        model: The model.
        plan: The plan.
        places: The classes asked for, label and place among the model's, in the request's order.
        joint: Whether they are cut together; not where it is one class.
    """

    model: ModelRow
    plan: PlanRow
    places: Mapping[str, int]
    joint: bool

    @property
    def joint_labels(self) -> list[str]:
        """The labels of what is cut together, in the model's order; empty where nothing is."""
        return sorted(self.places, key=self.places.__getitem__) if self.joint else []

    @property
    def others(self) -> OtherSamples | None:
        """Samples of other models that the plan reads."""
        kept = self.plan.other_samples
        return None if kept is None else OtherSamples.from_json(kept)

    def key(self, label: str) -> str:
        """Returns a digest of all that a fragment depends on: equal keys, equal fragments."""
        parts = (
            self.model.normalised_digest,
            self.model.samples_digest,
            str(self.model.inputs),
            self.plan.document_digest,
            "" if self.others is None else self.others.digest,
            str(self.places[label]),
            METHOD_VERSION,
            *(f"with {self.places[other]}" for other in self.joint_labels),
        )
        return digest_of("\n".join(parts).encode())

    def fragment_id(self, label: str) -> str:
        """Returns the id of a class's fragment."""
        return f"f-{self.key(label).removeprefix('sha256:')[:16]}"


class SliceModelHandler:
    """Runs SliceModel.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation
        self._held_out = HeldOutSlicing(foundation)
        self._turns = Turns()

    async def __call__(
        self, context: JobContext, request: pb.SliceModelRequest
    ) -> pb.SliceModelResponse:
        """Slices the classes that have no fragment of this plan yet.

        Raises:
            ServiceError: The model or plan is gone, or a worker failed; finished fragments stay.
        """
        if request.HasField("held_out"):
            return await self._held_out(context, request)
        slicing = await self._read(request)
        # Of two requests for the same classes, the second finds what the first has made.
        async with self._turns.of(request.plan):
            missing = await self._missing(slicing)
            if slicing.joint and missing:
                missing = await self._without_twins(slicing, missing)
            if missing:
                await self._slice(context, slicing, missing)
        async with self._foundation.database.reading() as session:
            rows = [
                await fragments.fragment(session, slicing.model.id, slicing.fragment_id(label))
                for label in slicing.places
            ]
        return pb.SliceModelResponse(fragments=[encode_fragment(row) for row in rows])

    async def _read(self, request: pb.SliceModelRequest) -> _Slicing:
        (model_id,) = MODEL.parse(request.name)
        _, plan_id = PLAN.parse(request.plan, "plan")
        async with self._foundation.database.reading() as session:
            model = await models.get(session, model_id)
            plan = await fragments.plan(session, model_id, plan_id)
        places = {label: place for place, label in enumerate(model.labels)}
        wanted = {label: places[label] for label in request.labels} or places
        return _Slicing(model, plan, wanted, request.joint and len(wanted) > 1)

    async def _missing(self, slicing: _Slicing) -> Sequence[str]:
        """The classes that have no fragment yet."""
        ids = {label: slicing.fragment_id(label) for label in slicing.places}
        async with self._foundation.database.reading() as session:
            kept = await fragments.kept(session, slicing.model.id)
        return [label for label in ids if ids[label] not in kept]

    async def _without_twins(self, slicing: _Slicing, missing: Sequence[str]) -> Sequence[str]:
        """Makes fragments of classes that are cut together from that of another of them.

        One that is deleted shares its graph again when it comes back, on any machine.

        Returns:
            What is missing still: all, or nothing.
        """
        twins = [slicing.fragment_id(label) for label in slicing.places if label not in missing]
        if not twins:
            return missing
        async with self._foundation.database.reading() as session:
            twin = await fragments.fragment(session, slicing.model.id, twins[0], whole=True)
        known = {name: getattr(twin, name) for name in _OF_THE_CUT}
        await self._insert(slicing, [self._row(slicing, label, known) for label in missing])
        return ()

    async def _slice(self, context: JobContext, slicing: _Slicing, labels: Sequence[str]) -> None:
        names = slicing.model.labels
        others = slicing.others

        async def path(digest: str) -> str:
            return str(await self._foundation.artifacts.path(digest))

        async def take(report: dict[str, Any]) -> None:
            if "fragment" in report:
                await self._keep(slicing, report["fragment"])
                return
            context.note(step_of(report["progress"], names))

        with self._foundation.scratch() as folder:
            await self._foundation.workers.run(
                entries.SLICE,
                {
                    "normalised": await path(slicing.model.normalised_digest),
                    "samples": await path(slicing.model.samples_digest),
                    "plan": await path(slicing.plan.document_digest),
                    "other_samples": None if others is None else await path(others.digest),
                    "inputs": slicing.model.inputs,
                    "classes": [slicing.places[label] for label in labels],
                    "joint": slicing.joint,
                    "labels": names,
                    "folder": str(folder),
                },
                on_progress=take,
                cancel=context.cancelled,
            )

    async def _keep(self, slicing: _Slicing, found: dict[str, Any]) -> None:
        path = Path(found["path"])
        stored = await self._foundation.artifacts.put_file(path)
        await asyncio.to_thread(path.unlink)
        known = {name: found[name] for name in _FIGURES} | {
            "plan_id": slicing.plan.id,
            "graph_digest": stored.digest,
            "graph_size": stored.size_bytes,
            "score_width": len(slicing.model.labels),
            "method_version": METHOD_VERSION,
            "joint_labels": slicing.joint_labels,
        }
        labels = [slicing.model.labels[place] for place in found["classes"]]
        await self._insert(slicing, [self._row(slicing, label, known) for label in labels])

    def _row(self, slicing: _Slicing, label: str, known: Mapping[str, Any]) -> FragmentRow:
        return FragmentRow(
            model_id=slicing.model.id,
            id=slicing.fragment_id(label),
            key=slicing.key(label),
            label=label,
            create_time=self._foundation.clock.now(),
            **known,
        )

    async def _insert(self, slicing: _Slicing, rows: Sequence[FragmentRow]) -> None:
        """Keeps the fragments of one graph, all at once."""
        async with self._foundation.database.writing() as session:
            await models.lock(session, slicing.model)
            for row in rows:
                if await session.get(FragmentRow, (row.model_id, row.id)) is None:
                    session.add(row)
                    references = self._foundation.references
                    await references.add(session, row.name, "graph", row.graph_digest)
