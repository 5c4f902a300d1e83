"""Which other models are fed like one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from slicer_svc.fed_alike import matched
from slicer_svc.other_samples import OtherModel
from slicer_svc.store.tables import ModelRow
from svckit.input_spec import InputSpec

CONSIDERED = 128
"""Models fed alike that are looked at, at most."""


async def fed_like(session: AsyncSession, model: ModelRow) -> tuple[OtherModel, ...]:
    """Returns models with the same inputs, by name; the same samples or graph make no other model.

    Args:
        session: A session.
        model: The model at hand.
    """
    ids = await _ids_fed_like(session, model)
    rows = await session.scalars(select(ModelRow).where(ModelRow.id.in_(ids)).order_by(ModelRow.id))
    return tuple(
        OtherModel(
            name=row.name,
            samples_digest=row.samples_digest,
            sample_count=row.sample_count,
            inputs=_specs(row.inputs),
            labels=frozenset(row.labels),
        )
        for row in rows
    )


async def _ids_fed_like(session: AsyncSession, model: ModelRow) -> Sequence[str]:
    """The first `CONSIDERED` of them, of several with the same samples the first one."""
    own = _specs(model.inputs)
    rows = await session.execute(
        select(ModelRow.id, ModelRow.samples_digest, ModelRow.inputs)
        .where(
            ModelRow.samples_digest != model.samples_digest,
            ModelRow.normalised_digest != model.normalised_digest,
        )
        .order_by(ModelRow.id)
    )
    ids: dict[str, str] = {}
    for model_id, samples, inputs in rows:
        if len(ids) < CONSIDERED and matched(own, _specs(inputs)) is not None:
            ids.setdefault(samples, model_id)
    return list(ids.values())


def _specs(inputs: Sequence[dict[str, Any]]) -> tuple[InputSpec, ...]:
    return tuple(InputSpec.from_json(spec) for spec in inputs)
