"""One market for all end-to-end tests: real processes, real files, a real Triton."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from sliceandpack.slicer.v1 import plans_pb2

from tests.helpers.digit_models import digit_model
from tests.helpers.market_client import PackerStubs, SlicerStubs
from tests.helpers.processes import Market
from tests.helpers.stocked import Stocked

ORIGINS = {"low": (0, 1, 2), "middle": (3, 4, 5), "high": (6, 7, 8)}


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
