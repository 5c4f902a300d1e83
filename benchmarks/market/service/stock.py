"""A market of many made models: their rows and specifications, and nothing else of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slicer_svc.app import MIGRATIONS
from slicer_svc.store import specifications
from slicer_svc.store.tables import ModelRow
from specification.codec import to_bytes
from specification.making import Labelling, make
from specification.model import VERSION, Specification
from svckit.artifacts.digests import digest_of
from svckit.artifacts.folder import FolderArtifactStore
from svckit.artifacts.references import ArtifactReferences
from svckit.database import open_database, upgrade
from svckit.input_spec import FLOAT32, Image, InputSpec

CLASSES = 5
PER_CLASS = 40
SIDE = 8
BASES = 20
"""Specifications that are made of samples; all others are these with their points moved."""
MOVED = 0.05
"""How far points are moved, in standard deviations of all points."""
AT_ONCE = 200

SPEC = InputSpec("image", (SIDE, SIDE, 3), FLOAT32, Image(True, 0.0, 1.0))


def made_task(random: np.random.Generator) -> Specification:
    """The specification of pictures of as many made classes as every model has."""
    labels = np.tile(np.arange(CLASSES, dtype=np.int64), PER_CLASS)
    centres = random.random((CLASSES, SIDE, SIDE, 3))
    noise = 0.1 * random.normal(size=(len(labels), SIDE, SIDE, 3))
    pictures = np.clip(centres[labels] + noise, 0.0, 1.0).astype(np.float32)
    names = tuple(f"class {place}" for place in range(CLASSES))
    return make({SPEC.name: pictures}, [SPEC], Labelling(names, labels), seed=0)


async def stock(state: Path, count: int, random: np.random.Generator) -> None:
    """Fills the state folder of a slicer that does not run.

    Args:
        state: The folder.
        count: Models.
        random: Makes them.
    """
    database = open_database(f"sqlite+aiosqlite:///{(state / 'service.db').absolute()}")
    try:
        await upgrade(database, MIGRATIONS)
        store = FolderArtifactStore(state / "artifacts")
        references = ArtifactReferences(store)
        made = _specifications(count, random)
        for start in range(0, count, AT_ONCE):
            async with database.writing() as session:
                for place in range(start, min(start + AT_ONCE, count)):
                    stored = await store.put(to_bytes(next(made)))
                    row = _model(f"made-{place:06}", stored.digest)
                    told = {"version": VERSION, "facts": {"space": "image"}, "missing": ""}
                    row.specification = specifications.specification_row(told, stored, _now())
                    session.add(row)
                    await session.flush()
                    await references.add(session, row.name, specifications.ROLE, stored.digest)
    finally:
        await database.close()


def _specifications(count: int, random: np.random.Generator) -> Iterator[Specification]:
    bases = [made_task(random) for _ in range(min(BASES, count))]
    for place in range(count):
        base = bases[place % len(bases)]
        yield replace(base, points=_moved(base.points, random), proxy=_moved(base.proxy, random))


def _moved(values: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(values + MOVED * values.std() * random.normal(size=values.shape))


def _model(model_id: str, digest: str) -> ModelRow:
    made: dict[str, Any] = dict.fromkeys(
        ("sample_count", "parameters", "macs", "unit_group_count", "feature_width"), 1
    )
    sizes = dict.fromkeys(("graph_size", "samples_size", "normalised_size"), 1)
    digests = {
        f"{part}_digest": digest_of(hashlib.sha256(f"{part} {digest}".encode()).digest())
        for part in ("graph", "samples", "normalised")
    }
    return ModelRow(
        id=model_id,
        operation=f"operations/{model_id}",
        display_name="",
        licence="MIT",
        labels=[f"class {place}" for place in range(CLASSES)],
        inputs=[SPEC.to_json()],
        sample_accuracy=1.0,
        revision=1,
        create_time=_now(),
        update_time=_now(),
        **made,
        **sizes,
        **digests,
    )


def _now() -> datetime:
    return datetime.now(UTC)
