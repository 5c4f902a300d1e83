"""Many switches, many loads: no answer is wrong, and no memory is gone for good."""

from __future__ import annotations

import os

import numpy as np
import pytest
from sliceandpack.packer.v1 import packs_pb2

from benchmarks.availability.answers import Asked, ask_while_switching, graph_of
from benchmarks.availability.cycles import growth_over_cycles, processes_of
from tests.helpers.stocked import Stocked

SLOW = (pytest.mark.slow, pytest.mark.timeout(1800))
MOST_GROWTH = 50e6


@pytest.mark.parametrize(("requests", "switches"), [(200, 2), pytest.param(10_000, 20, marks=SLOW)])
def test_every_answer_during_switches_is_one_packs_or_the_others(
    stocked: Stocked, requests: int, switches: int
) -> None:
    name = f"answers-{switches}"
    other = stocked.packer.pack_request(
        f"{name}-other", [stocked.fragments[label] for label in ("two", "six")]
    )
    other.pack.head.kind = packs_pb2.HEAD_KIND_PAPER
    packs = [
        stocked.pack(name, "two", "six"),
        stocked.packer.operations.result(
            stocked.packer.packs.CreatePack(other), packs_pb2.Pack
        ).name,
    ]
    stocked.packer.deploy(name, packs[0])
    images = np.random.default_rng(0).uniform(size=(500, 1, 8, 8)).astype(np.float32)
    graphs = {pack: graph_of(stocked.packer.channel, pack) for pack in packs}
    market = stocked.market

    def switch(pack: str) -> None:
        stocked.packer.switch(name, pack)

    told = ask_while_switching(
        Asked.of(name, "image", images, graphs),
        [("grpc", market.triton_grpc), ("http", market.triton_http)] * 2,
        switch,
        (requests, [packs[turn % 2] for turn in range(switches + 1)]),
    )

    assert told.problems == []
    assert told.requests >= requests
    assert min(told.answers[pack] for pack in packs) > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_loading_and_unloading_packs_keeps_no_memory(stocked: Stocked) -> None:
    packs = [stocked.pack(f"cycled-{end}", "zero", end) for end in ("three", "four", "five")]
    addresses = (stocked.market.packer.address, stocked.market.triton_grpc)
    growth = growth_over_cycles(addresses, processes_of(os.getpid()), packs, 200)

    assert {name: found.bytes for name, found in growth.items() if found.bytes > MOST_GROWTH} == {}
