"""Reassembly from a market in which some models were lost, damaged, or cannot be cut."""

from __future__ import annotations

import json
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from sliceandpack.packer.v1 import packs_pb2
from sliceandpack.packer.v1 import reassembly_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2

from benchmarks.demo.digits import split_digits
from tests.helpers.digit_models import DigitModel, digit_model
from tests.helpers.graph_texts import parse, with_arrays
from tests.helpers.market_client import SlicerStubs
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packs_client import PacksClient
from tests.helpers.stocked_slicer import StockedSlicer

DENSE = """
dense (float[batch, 1, 8, 8] image) => (float[batch, 2] scores)
  <float[64, 64] copy, float[64] none, float[2, 64] weight, float[2] bias>
{
  flat = Flatten (image)
  hidden = Gemm <transB = 1> (flat, copy, none)
  active = Relu (hidden)
  scores = Gemm <transB = 1> (active, weight, bias)
}
"""
"""Two layers: nothing that could be cut into three blocks."""


def shallow_model(digits: tuple[int, int]) -> DigitModel:
    """A model of `DENSE`: pixels as they are, then a fit by least squares."""
    shown = split_digits(0).market.only(digits)
    wanted = np.eye(2)[shown.labels] - 0.5
    weight = np.linalg.lstsq(shown.images.reshape(-1, 64), wanted, rcond=None)[0]
    arrays = {
        "copy": np.eye(64, dtype=np.float32),
        "none": np.zeros(64, np.float32),
        "weight": weight.T.astype(np.float32),
        "bias": np.zeros(2, np.float32),
    }
    graph = with_arrays(parse(DENSE), arrays).SerializeToString()
    return DigitModel(digits, graph, digit_model(digits).samples)


@pytest.fixture(scope="module")
def unfit(slicer: StockedSlicer) -> Iterator[dict[str, str]]:
    """Models that give no blocks: their reasons by name; they are gone afterwards."""
    with grpc.insecure_channel(slicer.process.address) as channel:
        stubs = SlicerStubs(channel)
        # No other model has their files.
        lost = stubs.submit("lost", digit_model((0, 1), width=5))
        damaged = stubs.submit("damaged", digit_model((1, 2), width=6))
        stubs.submit("shallow", shallow_model((0, 2)))
        spoil(slicer, lost.normalised_graph.name, b"")
        spoil(slicer, damaged.samples.name, b"no samples")
        yield {
            "models/lost": "RESOURCE_NOT_FOUND",
            "models/damaged": "DIGEST_MISMATCH",
            "models/shallow": "MODEL_UNCUTTABLE",
            "models/large": "FRAGMENTS_INCOMPATIBLE",
        }
        for name in ("lost", "damaged", "shallow"):
            stubs.models.DeleteModel(models_pb2.DeleteModelRequest(name=f"models/{name}"))


def spoil(slicer: StockedSlicer, artifact: str, content: bytes) -> None:
    """Writes other bytes over an artifact of the slicer; deletes it where there are none."""
    digits = artifact.removeprefix("artifacts/sha256:")
    path = slicer.process.folder / "state" / "artifacts" / "objects" / digits[:2] / digits
    path.chmod(0o644)
    if content:
        path.write_bytes(content)
    else:
        path.unlink()


async def asked(packs: PacksClient, pack_id: str, *models: str) -> packs_pb2.Pack:
    request = pb.ReassembleModelRequest(
        pack_id=pack_id,
        classes=[
            pb.WantedClass(model="models/low", label="zero"),
            pb.WantedClass(model="models/mixed", label="three"),
        ],
        models=models,
        blocks=3,
    )
    return await packs.result(await packs.stub.ReassembleModel(request))


async def test_models_of_the_market_that_do_not_serve_are_left_out_and_told(
    packs: PacksClient, unfit: dict[str, str]
) -> None:
    made = await asked(packs, "of-the-rest")

    found = {one.model: one.reason for one in made.reassembly.left_out}
    assert found.items() >= unfit.items()
    assert made.reassembly.left_out_count == len(found)
    assert not found.keys() & {block.model for block in made.reassembly.blocks}
    assert all(one.message for one in made.reassembly.left_out)
    manifest = json.loads(await packs.read(made.manifest))
    assert {one["model"] for one in manifest["reassembly"]["leftOut"]} == set(found)
    report = (await packs.read(made.report)).decode()
    assert all(name in report for name in unfit)


@pytest.mark.parametrize("name", ["lost", "damaged", "shallow", "large"])
async def test_a_model_that_was_named_has_to_serve(
    packs: PacksClient, unfit: dict[str, str], name: str
) -> None:
    with pytest.raises(OperationFailedError) as failed:
        await asked(packs, f"of-{name}", "models/low", "models/mixed", f"models/{name}")
    # The slicer puts a damaged file aside: who asks again is told that it is gone.
    reasons = {unfit[f"models/{name}"], *(["RESOURCE_NOT_FOUND"] if name == "damaged" else [])}
    assert failed.value.reason in reasons
    assert f"models/{name}" in failed.value.message


async def test_the_model_of_a_wanted_class_is_named_as_well(
    packs: PacksClient, unfit: dict[str, str]
) -> None:
    request = pb.ReassembleModelRequest(
        classes=[
            pb.WantedClass(model="models/lost", label="zero"),
            pb.WantedClass(model="models/mixed", label="three"),
        ],
        blocks=3,
    )
    with pytest.raises(OperationFailedError) as failed:
        await packs.result(await packs.stub.ReassembleModel(request))
    assert failed.value.metadata["model"] == "models/lost"
