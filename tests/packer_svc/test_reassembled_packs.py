"""Packs of one reassembled network, over gRPC with real processes."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import grpc
import onnxruntime
import pytest
from google.longrunning import operations_pb2
from google.rpc import error_details_pb2, status_pb2
from sliceandpack.artifact.v1.artifacts_pb2 import Artifact
from sliceandpack.packer.v1 import packs_pb2
from sliceandpack.packer.v1 import reassembly_pb2 as pb
from sliceandpack.slicer.v1 import input_spec_pb2, models_pb2, models_pb2_grpc

from tests.helpers.command_line import marketctl
from tests.helpers.digit_models import digit_model, unseen_digits
from tests.helpers.errors import reason_of
from tests.helpers.market_client import SlicerStubs
from tests.helpers.packs_client import PacksClient
from tests.helpers.processes import ServiceProcess
from tests.helpers.stocked_slicer import StockedSlicer

ZERO_THREE = (
    pb.WantedClass(model="models/low", label="zero"),
    pb.WantedClass(model="models/mixed", label="three"),
)


async def asked(packs: PacksClient, pack_id: str, **more: Any) -> operations_pb2.Operation:
    request = pb.ReassembleModelRequest(
        **{"pack_id": pack_id, "classes": ZERO_THREE, "blocks": 3, **more}
    )
    return await packs.stub.ReassembleModel(request)


async def ended(packs: PacksClient, operation: operations_pb2.Operation) -> status_pb2.Status:
    """The error of an operation that fails."""
    return (await packs.ended(operation)).error


def info(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    found = error_details_pb2.ErrorInfo()
    next(one for one in status.details if one.Is(found.DESCRIPTOR)).Unpack(found)
    return found


async def test_a_network_of_several_models_blocks_tells_their_classes_apart(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    operation = await asked(packs, "reassembled", models=["models/low", "models/mixed"])
    made = await packs.result(operation)

    unseen = unseen_digits((0, 3))
    session = onnxruntime.InferenceSession(await packs.read(made.graph))
    answers = session.run(["probabilities"], {"image": unseen.images})[0]
    assert float((answers.argmax(1) == unseen.labels).mean()) > 0.9
    found = made.reassembly
    assert len(found.blocks) == 3
    assert {block.model for block in found.blocks} <= {"models/low", "models/mixed"}
    assert found.gap == 0.0
    assert 1 <= found.kept <= found.judged
    assert made.proof_summary.top1_agreement == 1.0
    assert [one.fragment for one in made.fragments] == ["models/low", "models/mixed"]
    assert await packs.get("reassembled") == made


async def test_its_lineage_leads_to_the_models_of_its_blocks_and_classes(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    made = await packs.result(await asked(packs, "with-lineage"))
    request = packs_pb2.GetLineageRequest(name=made.name)
    nodes = {node.name: node for node in (await packs.stub.GetLineage(request)).nodes}

    models = {block.model for block in made.reassembly.blocks} | {"models/low", "models/mixed"}
    assert {name for name, node in nodes.items() if node.kind == "model"} == models
    assert set(models) < set(nodes[made.name].parents)
    for block in made.reassembly.blocks:
        assert f"artifacts/{block.graph_digest}" in nodes[block.model].parents
    assert all(parent in nodes for node in nodes.values() for parent in node.parents)


async def test_a_network_outlives_the_models_of_its_blocks(
    packs: PacksClient, slicer: StockedSlicer, market_packer: ServiceProcess, tmp_path: Path
) -> None:
    for name, digits in (("left", (0, 3)), ("right", (6, 7))):
        await asyncio.to_thread(slicer.add, name, digits, 0.5)
    classes = [
        pb.WantedClass(model="models/left", label="zero"),
        pb.WantedClass(model="models/right", label="seven"),
    ]
    models = ["models/left", "models/right"]
    made = await packs.result(await asked(packs, "orphan", classes=classes, models=models))
    request = packs_pb2.GetLineageRequest(name=made.name)
    lineage = await packs.stub.GetLineage(request)
    async with grpc.aio.insecure_channel(slicer.process.address) as channel:
        stub = models_pb2_grpc.ModelsStub(channel)
        for name in models:
            # Nothing holds them: no force is needed.
            await stub.DeleteModel(models_pb2.DeleteModelRequest(name=name))

    assert await packs.get("orphan") == made
    assert await packs.stub.GetLineage(request) == lineage
    assert {one.name for one in lineage.nodes if one.kind == "model"} == set(models)
    for node in lineage.nodes:
        if node.kind == "artifact":
            digest = hashlib.sha256(await packs.read(Artifact(name=node.name))).hexdigest()
            assert node.name == f"artifacts/sha256:{digest}"
    servers = ("--packer", market_packer.address, "--slicer", slicer.process.address)
    shown = await asyncio.to_thread(marketctl, "packs", "show", "orphan", *servers)
    assert (shown.code, shown.err) == (0, "")
    told = await asyncio.to_thread(marketctl, "packs", "lineage", "orphan", *servers)
    assert all(name in told.out for name in models)
    path = tmp_path / "orphan.onnx"
    given = await asyncio.to_thread(
        marketctl, "packs", "download", "orphan", "--to", path, *servers
    )
    assert (given.code, path.read_bytes()) == (0, await packs.read(made.graph))


async def test_a_budget_holds_and_one_that_cannot_says_the_smallest_that_can(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    tiny = pb.ReassemblyBudget(parameters=1e-3)
    error = info(await ended(packs, await asked(packs, "too-small", budget=tiny)))
    assert error.reason == "BUDGET_UNREACHABLE"
    least = float(error.metadata["least_parameters"])

    made = await packs.result(
        await asked(packs, "least-budget", budget=pb.ReassemblyBudget(parameters=least))
    )
    assert made.parameters <= least * made.ensemble_parameters


async def test_models_that_cannot_be_cut_so_often_are_refused(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    error = info(await ended(packs, await asked(packs, "many-blocks", blocks=8)))
    assert error.reason == "MODEL_UNCUTTABLE"
    assert error.metadata["blocks"] == "8"


async def test_models_that_are_fed_otherwise_are_left_out_unless_named(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    operation = await asked(packs, "fed-otherwise", models=["models/low", "models/large"])
    error = info(await ended(packs, operation))
    assert error.reason == "FRAGMENTS_INCOMPATIBLE"
    assert error.metadata["second"] == "models/large"

    made = await packs.result(await asked(packs, "whole-market"))
    assert "models/large" not in {block.model for block in made.reassembly.blocks}


async def test_models_that_know_mirrored_pictures_are_fed_as_others_are(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    with grpc.insecure_channel(slicer.process.address) as channel:
        stubs = SlicerStubs(channel)
        request = stubs.submit_request("mirrored", digit_model((1, 7), width=4))
        request.model.inputs[0].image.flip_invariant = True
        stubs.operations.result(stubs.models.CreateModel(request), models_pb2.Model)
    classes = (ZERO_THREE[0], pb.WantedClass(model="models/mirrored", label="seven"))
    named = ["models/low", "models/mirrored"]
    made = await packs.result(await asked(packs, "mirrored", classes=classes, models=named))
    assert made.labels == ["zero", "seven"]
    assert made.reassembly.models == 2


async def test_models_that_are_fed_bytes_are_reassembled_as_well(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    classes = [pb.WantedClass(model="models/large", label=label) for label in ("four", "five")]
    made = await packs.result(await asked(packs, "of-bytes", classes=classes))
    assert {block.model for block in made.reassembly.blocks} == {"models/large"}
    assert made.inputs[0].image.layout == input_spec_pb2.IMAGE_LAYOUT_NHWC


async def test_a_class_that_its_model_does_not_know_is_refused(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    wanted = [ZERO_THREE[0], pb.WantedClass(model="models/mixed", label="nine")]
    error = info(await ended(packs, await asked(packs, "no-such-class", classes=wanted)))
    assert error.reason == "CLASS_UNKNOWN"
    assert error.metadata["label"] == "nine"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"classes": ZERO_THREE[:1]}, "classes"),
        (
            {"classes": [ZERO_THREE[0], pb.WantedClass(model="low", label="one")]},
            "classes[1].model",
        ),
        ({"blocks": 9}, "blocks"),
        ({"training_steps": -1}, "training_steps"),
        ({"models": ["models/low", "models/low"]}, "models[1]"),
        ({"budget": pb.ReassemblyBudget(macs=0.0)}, "budget.macs"),
        ({"budget": pb.ReassemblyBudget(latency_ms=float("nan"))}, "budget.latency_ms"),
    ],
)
async def test_a_malformed_request_is_refused_at_once(
    packs: PacksClient, more: dict[str, Any], field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked(packs, "malformed", **more)
    assert reason_of(caught.value) == "FIELD_INVALID"
    assert field in str(caught.value)


async def test_a_reassembled_pack_cannot_be_changed(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    made = await packs.result(await asked(packs, "one-network", training_steps=5))
    request = packs_pb2.RemoveClassesRequest(name=made.name, labels=["zero"])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await packs.stub.RemoveClasses(request)
    assert reason_of(caught.value) == "PACK_REASSEMBLED"


async def test_a_replay_gets_the_same_pack_and_validation_keeps_nothing(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    checked = await asked(packs, "only-checked", validate_only=True)
    assert checked.done
    assert "packs/only-checked" not in await packs.names()
    first = await asked(packs, "asked-twice", request_id="7d6f0d5e-0000-4000-8000-000000000155")
    again = await asked(packs, "asked-twice", request_id="7d6f0d5e-0000-4000-8000-000000000155")
    assert first.name == again.name
    assert (await packs.result(again)).name == "packs/asked-twice"


async def test_a_budget_of_time_is_kept_or_refused_with_what_was_measured(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    roomy = pb.ReassemblyBudget(latency_ms=1_000.0, macs=10.0)
    made = await packs.result(await asked(packs, "in-time", budget=roomy))
    assert made.proof_summary.run_time.single_seconds < 1.1
    error = info(
        await ended(packs, await asked(packs, "never", budget=pb.ReassemblyBudget(latency_ms=1e-7)))
    )
    assert error.reason == "BUDGET_UNREACHABLE"
    assert float(error.metadata["least_latency_ms"]) > 0
