"""One market for all end-to-end tests: real processes, real files, a real Triton."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest
from sliceandpack.slicer.v1 import plans_pb2

from tests.helpers.digit_models import digit_model
from tests.helpers.market_client import PackerStubs, SlicerStubs
from tests.helpers.processes import Market

ORIGINS = {"low": (0, 1, 2), "middle": (3, 4, 5), "high": (6, 7, 8)}


@dataclass(eq=False)
class Stocked:
    """A running market with three models, sliced.

    Attributes:
        market: The processes.
        slicer: The slicer's stubs.
        packer: The packer's stubs.
        fragments: The names of all fragments by their label.
    """

    market: Market
    slicer: SlicerStubs
    packer: PackerStubs
    fragments: dict[str, str]

    def pack(self, pack_id: str, *labels: str) -> str:
        """Packs classes; returns the pack's name."""
        return self.packer.pack(pack_id, [self.fragments[label] for label in labels]).name


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stocked]:
    """A market with three models of digits, every class of them sliced at β = 0.5."""
    market = Market(tmp_path_factory.mktemp("market"))
    try:
        market.start()
        with (
            grpc.insecure_channel(market.slicer.address) as slicer_channel,
            grpc.insecure_channel(market.packer.address) as packer_channel,
        ):
            slicer, packer = SlicerStubs(slicer_channel), PackerStubs(packer_channel)
            fragments: dict[str, str] = {}
            for name, digits in ORIGINS.items():
                model = digit_model(digits)
                slicer.submit(name, model)
                plan = slicer.plan(name, plans_pb2.Recipe(beta=0.5))
                names = slicer.slice(name, plan.name, model.labels)
                fragments.update(zip(model.labels, names, strict=True))
            yield Stocked(market, slicer, packer, fragments)
    finally:
        market.stop()
