"""How much of a large market a reassembly takes that names no models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from sliceandpack.packer.v1 import reassembly_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from packer_svc.block_sources import MOST_TOLD, BlockSources, block_sources
from packer_svc.convert.reassembly import MAX_MODELS
from svckit.input_messages import decode_input


def model(number: int, *, macs: int = 1, size: int = 1, side: int = 8) -> models_pb2.Model:
    found = models_pb2.Model(name=f"models/m{number}", macs=macs)
    found.normalised_graph.name = f"artifacts/sha256:{number:064x}"
    found.normalised_graph.size_bytes = size
    found.samples.name = f"artifacts/sha256:{number:064x}"
    found.inputs.add(name="image", shape=[1, side, side])
    found.inputs[0].tensor.SetInParent()
    return found


class Market:
    """Lists models, and counts how many were looked at."""

    def __init__(self, models: Sequence[models_pb2.Model]) -> None:
        self._models = models
        self.looked_at = 0

    async def newest_models(self) -> AsyncIterator[models_pb2.Model]:
        for one in self._models:
            self.looked_at += 1
            yield one


async def found_in(models: Sequence[models_pb2.Model]) -> tuple[BlockSources, Market]:
    known = model(1_000)
    inputs = tuple(map(decode_input, known.inputs))
    market: Any = Market(models)
    return await block_sources(market, pb.ReassembleModelRequest(), [known], inputs), market


async def test_of_a_large_market_the_classes_models_and_the_newest_others_are_taken() -> None:
    found, market = await found_in([model(number) for number in range(500)])
    names = {one.name for one in found.models}
    assert names == {"models/m1000", *(f"models/m{n}" for n in range(MAX_MODELS - 1))}
    assert market.looked_at == MAX_MODELS - 1
    assert found.left_out == ()


async def test_models_that_are_fed_otherwise_take_no_room_and_not_all_are_told() -> None:
    others = [model(number, side=9) for number in range(400)]
    found, _ = await found_in([*others, model(400)])
    assert {one.name for one in found.models} == {"models/m1000", "models/m400"}
    assert {one["reason"] for one in found.left_out} == {"FRAGMENTS_INCOMPATIBLE"}
    told = found.for_worker(dict.fromkeys(found.digests, Path("file")))
    assert len(told["left_out"]) == MOST_TOLD
    assert told["left_out_count"] == 400


async def test_models_that_would_take_too_long_or_too_much_memory_are_left_out() -> None:
    found, _ = await found_in([model(1, macs=10**11), model(2, size=2**30), model(3, macs=10**9)])
    assert {one.name for one in found.models} == {"models/m1000", "models/m3"}
    assert [(one["model"], one["reason"]) for one in found.left_out] == [
        ("models/m1", "WORKER_CPU_TIME"),
        ("models/m2", "WORKER_MEMORY"),
    ]
    many = [model(number, macs=4 * 10**9) for number in range(40)]
    found, _ = await found_in(many)
    assert len(found.models) == 4


async def test_models_of_one_graph_are_one() -> None:
    twin = model(7)
    twin.name = "models/a-twin"
    found, _ = await found_in([model(7), twin])
    assert [one.name for one in found.models] == ["models/a-twin", "models/m1000"]
