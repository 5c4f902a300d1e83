"""The walk on made data that `helm test` runs."""

from __future__ import annotations

from sliceandpack.packer.v1 import deployments_pb2, packs_pb2
from sliceandpack.slicer.v1 import models_pb2

from tests.helpers.command_line import Ended, marketctl
from tests.helpers.stocked import Stocked


def selftest(stocked: Stocked, *more: str) -> Ended:
    market = stocked.market
    return marketctl(
        *("--slicer", market.slicer.address, "--packer", market.packer.address),
        *("--triton", market.triton_grpc, "selftest", *more),
    )


def names(stocked: Stocked) -> set[str]:
    """The models, packs and deployments that there are."""
    packer = stocked.packer
    return {
        *(
            found.name
            for found in stocked.slicer.models.ListModels(models_pb2.ListModelsRequest()).models
        ),
        *(found.name for found in packer.packs.ListPacks(packs_pb2.ListPacksRequest()).packs),
        *(
            found.name
            for found in packer.deployments.ListDeployments(
                deployments_pb2.ListDeploymentsRequest()
            ).deployments
        ),
    }


def test_the_walk_tells_its_steps_and_leaves_nothing_behind(stocked: Stocked) -> None:
    before = names(stocked)
    ended = selftest(stocked, "--quiet")

    assert ended.code == 0, ended.err
    steps = [line.split(" ")[0] for line in ended.out.splitlines()]
    assert steps == ["submit", "submit", "slice", "slice", "pack", "deploy", "predict", "All"]
    assert ended.err == ""
    assert names(stocked) == before


def test_what_the_walk_made_can_be_kept(stocked: Stocked) -> None:
    before = names(stocked)
    ended = selftest(stocked, "--keep", "-o", "json")

    assert ended.code == 0, ended.err
    assert ended.data["accuracy"] >= 0.9
    kept = names(stocked) - before
    assert {name.split("/")[0] for name in kept} == {"models", "packs", "deployments"}
    for name in kept:
        assert "/selftest-" in name
