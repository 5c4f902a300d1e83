"""Which originals a worker is given to time; of these none, so nobody is asked for a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from packer_svc.fusion.original_times import OriginalTimes
from packer_svc.handlers.originals import MOST_BYTES, TOO_LARGE, UNKNOWN, originals_of
from packer_svc.origins import Origin, OriginModel
from packer_svc.recipe import Ingredient
from packer_svc.slicer_client import SlicerClient
from svckit.input_spec import InputSpec, Tensor

DIGEST = f"sha256:{'1' * 64}"
NOBODY = cast("SlicerClient", None)


def ingredient(model: str, digest: str = "", size: int = 0) -> Ingredient:
    found = OriginModel(model, 2, 4, 10, 20, digest, size)
    other = f"sha256:{'2' * 64}"
    inputs = [InputSpec("x", (4,), "float32", Tensor())]
    return Ingredient(
        Origin(f"{model}/fragments/f", "cat", 0, other, other, "", inputs, found), "", 0
    )


async def asked(folder: Path, *ingredients: Ingredient) -> list[dict[str, Any]]:
    return await originals_of(ingredients, NOBODY, OriginalTimes(folder), folder)


async def test_a_kept_time_is_all_that_is_needed(tmp_path: Path) -> None:
    times = {"single_seconds": 0.25, "batch_seconds": 1.5}
    OriginalTimes(tmp_path).keep(DIGEST, times)
    [one] = await asked(tmp_path, ingredient("models/a", DIGEST, 2**40))
    assert one["run_time"] == times
    assert "graph" not in one


async def test_what_is_not_known_or_too_large_is_left_out(tmp_path: Path) -> None:
    large = ingredient("models/b", DIGEST, MOST_BYTES + 1)
    found = await asked(tmp_path, ingredient("models/a"), large)
    assert [one["left_out"] for one in found] == [UNKNOWN, TOO_LARGE]
    assert [one["bytes"] for one in found] == [None, MOST_BYTES + 1]


async def test_a_model_is_told_once_by_the_fragment_that_knows_its_graph(tmp_path: Path) -> None:
    known = ingredient("models/a", DIGEST, MOST_BYTES + 1)
    for order in ((ingredient("models/a"), known), (known, ingredient("models/a"))):
        [one] = await asked(tmp_path, *order)
        assert one["graph_digest"] == DIGEST
