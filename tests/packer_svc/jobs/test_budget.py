"""A pack that grew beyond its budget is refused with the least that it could have."""

from __future__ import annotations

import pytest

from packer_svc.fusion.errors import FusionError
from packer_svc.fusion.proof import ModelSize
from packer_svc.jobs.budget import require_size


@pytest.mark.parametrize(("kind", "found"), [("parameters", 1201), ("macs", 7)])
def test_a_pack_beyond_its_budget_tells_the_least_that_it_could_have(kind: str, found: int) -> None:
    size = ModelSize(parameters=1201, macs=7, bytes=1)
    most = found - 1
    with pytest.raises(FusionError) as caught:
        require_size({"asked": {"kind": kind, "value": 0.3}, "most": most}, size)
    told = caught.value.metadata
    assert (told["budget"], told["kind"]) == ("0.300000", kind)
    assert float(told["least"]) / 0.3 * most >= found
    assert told["least"] in caught.value.advice


def test_a_pack_within_its_budget_and_one_of_a_time_pass() -> None:
    size = ModelSize(parameters=1200, macs=7, bytes=1)
    require_size({"asked": {"kind": "parameters", "value": 0.3}, "most": 1200}, size)
    require_size({"asked": {"kind": "latency_ms", "value": 0.3}, "most": None}, size)
