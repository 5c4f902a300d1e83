"""What plans of a model rest on: measurements kept with it, and samples of other models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer_svc.other_samples import OtherModel, OtherSamples, most_useful
from slicer_svc.slicing.recipe import Method, Recipe
from slicer_svc.slicing.version import METHOD_VERSION
from slicer_svc.store import models
from slicer_svc.store.other_models import fed_like
from slicer_svc.store.tables import CurvesRow, ModelRow
from svckit.artifacts.digests import digest_of
from svckit.foundation import Foundation


@dataclass(frozen=True)
class Wish:
    """What a plan is to be.

    Attributes:
        recipe: What it is to reach, and how.
        own_samples_only: Whether samples of other models are left aside.
    """

    recipe: Recipe
    own_samples_only: bool

    @property
    def reads_others(self) -> bool:
        """Whether samples of other models are read, where there are any."""
        return self.recipe.method is Method.CLOSED_FORM and not self.own_samples_only


@dataclass(frozen=True)
class Basis:
    """What there is for a plan to rest on.

    Attributes:
        key: What its curves are kept by.
        curves: The digest of its curves; None where they are to be measured.
        latency: The digest of the times of the model's nodes, by machine; None if there are none.
        other_samples: What the curves were measured with beside the model's own samples.
        candidates: Models that this is to be chosen from before the curves are measured.
    """

    key: str
    curves: str | None
    latency: str | None
    other_samples: OtherSamples | None = None
    candidates: tuple[OtherModel, ...] = ()


class Bases:
    """Finds and keeps what plans rest on.

    Curves are kept together with the samples of other models that they were measured with, and
    every later plan that rests on them reads the same: another budget costs no measurement, and
    the error that it predicts is that of what slicing does, whichever models come and go. Where
    the market has no model to read from, curves are the same as those of plans that leave other
    samples aside; so a market's first model is measured once more when others are there.

    Args:
        foundation: What the service stands on.
    """

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation

    async def of(self, model: ModelRow, wish: Wish) -> Basis:
        """Returns what there is for a plan of a model."""
        async with self._foundation.database.reading() as session:
            times = await models.measurements(session, model.id, latency_key(model))
            latency = None if times is None else times.digest
            key = _curves_key(model, wish.recipe, "with others")
            if wish.reads_others:
                row = await models.measurements(session, model.id, key)
                if row is not None and row.other_samples is not None:
                    pinned = OtherSamples.from_json(row.other_samples)
                    return Basis(key, row.digest, latency, pinned)
                candidates = most_useful(model.labels, await fed_like(session, model))
                if candidates:
                    return Basis(key, None, latency, candidates=candidates)
            key = _curves_key(model, wish.recipe, "alone")
            row = await models.measurements(session, model.id, key)
            return Basis(key, None if row is None else row.digest, latency)

    async def stored(self, chosen: dict[str, Any], path: Path) -> OtherSamples:
        """Stores samples of other models; until curves or a plan are kept, nothing holds them.

        Args:
            chosen: What `choose_other_samples` says.
            path: What it wrote.
        """
        artifact = await self._foundation.artifacts.put_file(path)
        models_read = tuple(chosen["models"])
        return OtherSamples(artifact.digest, artifact.size_bytes, models_read, chosen["count"])

    async def keep(
        self, model: ModelRow, key: str, path: Path, others: OtherSamples | None = None
    ) -> None:
        """Keeps measurements in place of earlier ones, all at once with what they read.

        Args:
            model: The model.
            key: The basis's key, or `latency_key`.
            path: What was measured.
            others: Samples of other models that it was measured with.

        Raises:
            NotFound: The model is gone.
        """
        references = self._foundation.references
        digest = (await self._foundation.artifacts.put_file(path)).digest
        row = CurvesRow(
            model_id=model.id,
            key=key,
            digest=digest,
            other_samples=None if others is None else others.to_json(),
            create_time=self._foundation.clock.now(),
        )
        async with self._foundation.database.writing() as session:
            await models.lock(session, model)
            await session.merge(row)
            await references.add(session, model.name, f"curves-{key[-12:]}", digest)
            if others is not None:
                role = f"other-samples-{key[-12:]}"
                await references.add(session, model.name, role, others.digest)


def _curves_key(model: ModelRow, recipe: Recipe, samples: str) -> str:
    """Returns a digest of all that a model's curves depend on but what is kept beside them."""
    parts = (
        model.normalised_digest,
        model.samples_digest,
        samples,
        str(recipe.views),
        str(recipe.seed),
        METHOD_VERSION,
    )
    return digest_of("\n".join(parts).encode())


def latency_key(model: ModelRow) -> str:
    """Returns a digest of all that the times of a model depend on, but for the machine."""
    return digest_of(f"latency\n{model.normalised_digest}\n{METHOD_VERSION}".encode())
