"""Which models of the market are found to be fed like one."""

from __future__ import annotations

from slicer_svc.store import models
from slicer_svc.store.other_models import CONSIDERED, fed_like
from slicer_svc.store.tables import ModelRow
from svckit.database import Database
from svckit.input_spec import Image, InputSpec
from tests.helpers.model_rows import digest, model_row

PICTURE = InputSpec("x", (1, 8, 8), "float32", Image(False, 0.0, 1.0))
WIDE = InputSpec("x", (1, 8, 8), "float32", Image(False, 0.0, 2.0))


def row(name: str, *, samples: str = "", graph: str = "", spec: InputSpec = PICTURE) -> ModelRow:
    return model_row(
        name,
        samples_digest=digest("samples" + (samples or name)),
        normalised_digest=digest("normalised" + (graph or name)),
        inputs=[spec.to_json()],
    )


async def found(database: Database, *rows: ModelRow) -> list[str]:
    """The names of the models that are fed like "own", among others."""
    async with database.writing() as session:
        session.add_all([row("own"), *rows])
    async with database.reading() as session:
        others = await fed_like(session, await models.get(session, "own"))
    for other in others:
        assert other.labels == {f"class of {other.name.removeprefix('models/')}"}
        assert (other.sample_count, len(other.inputs)) == (7, 1)
    return [other.name.removeprefix("models/") for other in others]


async def test_models_fed_alike_are_found_by_name(database: Database) -> None:
    assert await found(database, row("b"), row("wide", spec=WIDE), row("a")) == ["a", "b"]


async def test_the_same_graph_or_samples_make_no_other_model(database: Database) -> None:
    same = (row("again", graph="own"), row("twin", samples="own"))
    assert await found(database, *same, row("b", samples="s"), row("a", samples="s")) == ["a"]


async def test_no_more_models_are_looked_at_than_there_is_room_for(database: Database) -> None:
    names = [f"m-{place:04}" for place in range(CONSIDERED + 3)]
    assert await found(database, *map(row, names)) == names[:CONSIDERED]
