"""Clones: a real slicer and a real packer put classes of one model into another one."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from sliceandpack.packer.v1 import cloning_pb2
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc

from onnxgraph.parity import Runner
from svckit.clients.patience import answer
from tests.helpers.command_line import marketctl
from tests.helpers.digit_models import digit_model, unseen_digits
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packs_client import PacksClient
from tests.helpers.processes import ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.stocked_slicer import StockedSlicer


@pytest.fixture
async def models(slicer: StockedSlicer) -> AsyncIterator[models_pb2_grpc.ModelsAsyncStub]:
    """The slicer's models."""
    async with grpc.aio.insecure_channel(slicer.process.address) as channel:
        yield models_pb2_grpc.ModelsStub(channel)


def asked(
    pack_id: str, *labels: str, source: str = "mixed", spec: cloning_pb2.CloneSpec | None = None
) -> cloning_pb2.CloneClassesRequest:
    """Classes cloned into "low", which knows zero, one and two; LABEL or LABEL=NAME."""
    pairs = [label.partition("=") for label in labels]
    classes = [cloning_pb2.ClonedClass(label=one[0], pack_label=one[2]) for one in pairs]
    return cloning_pb2.CloneClassesRequest(
        target="models/low",
        source=f"models/{source}",
        classes=classes,
        pack_id=pack_id,
        spec=spec,
    )


async def cloned(packs: PacksClient, request: cloning_pb2.CloneClassesRequest) -> pb.Pack:
    return await packs.result(await packs.stub.CloneClasses(request))


async def answers(packs: PacksClient, pack: pb.Pack, images: np.ndarray) -> np.ndarray:
    runner = Runner(await packs.read(pack.graph))
    found: np.ndarray = runner.run({"image": images}, ("probabilities",))["probabilities"]
    return found


def softmax(scores: np.ndarray) -> np.ndarray:
    found = np.exp(scores - scores.max(axis=1, keepdims=True))
    share: np.ndarray = found / found.sum(axis=1, keepdims=True)
    return share


async def test_a_clone_knows_the_classes_of_both_models(
    packs: PacksClient, models: models_pb2_grpc.ModelsAsyncStub
) -> None:
    made = await cloned(packs, asked("one-more", "three"))

    target = await models.GetModel(models_pb2.GetModelRequest(name="models/low"))
    assert list(made.labels) == ["zero", "one", "two", "three"]
    assert (made.clone.target, made.clone.source) == ("models/low", "models/mixed")
    assert made.clone.target_graph == target.graph
    assert made.clone.added_parameters == made.parameters - target.parameters
    assert made.proof_summary.top1_agreement == 1.0
    assert made.proof_summary.cross_validated_accuracy > 0.9
    digits = unseen_digits((0, 1, 2, 3))
    named = (await answers(packs, made, digits.images)).argmax(axis=1)
    assert (named == digits.labels).mean() > 0.9
    manifest = json.loads(await packs.read(made.manifest))
    assert manifest["clone"]["position"] == made.clone.position
    assert manifest["clone"]["target_graph"] == target.graph.name.removeprefix("artifacts/")


async def test_among_its_own_classes_a_clone_answers_as_its_target_does(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    made = await cloned(packs, asked("as-before", "three"))

    images = unseen_digits((0, 1, 2, 3)).images
    target = Runner(digit_model((0, 1, 2), width=4).graph).run({"image": images})
    own = (await answers(packs, made, images))[:, :3].astype(np.float64)
    expected = softmax(next(iter(target.values())).astype(np.float64))
    assert np.abs(own / own.sum(axis=1, keepdims=True) - expected).max() < 1e-3
    assert (own.argmax(axis=1) == expected.argmax(axis=1)).all()


async def test_removing_all_cloned_classes_gives_the_target_back_byte_for_byte(
    packs: PacksClient,
) -> None:
    made = await cloned(packs, asked("with-two", "four", "five", source="large"))
    fewer = pb.RemoveClassesRequest(name=made.name, labels=["four"], pack_id="with-one")
    one = await packs.result(await packs.stub.RemoveClasses(fewer))
    assert list(one.labels) == ["zero", "one", "two", "five"]
    assert one.clone.position == made.clone.position
    assert [each.label for each in one.clone.classes] == ["five"]
    none = pb.RemoveClassesRequest(name=one.name, labels=["five"], pack_id="with-none")
    left = await packs.result(await packs.stub.RemoveClasses(none))

    graph = digit_model((0, 1, 2), width=4).graph
    assert await packs.read(left.clone.target_graph) == graph
    assert left.clone.target_graph.name == f"artifacts/sha256:{hashlib.sha256(graph).hexdigest()}"
    assert (left.clone.source, list(left.clone.classes)) == ("", [])
    assert list(left.labels) == ["zero", "one", "two"]
    images = unseen_digits((0, 1, 2)).images
    scores = next(iter(Runner(graph).run({"image": images}).values())).astype(np.float64)
    assert np.abs(await answers(packs, left, images) - softmax(scores)).max() < 1e-5


async def test_models_that_are_fed_otherwise_are_refused_before_one_is_sliced(
    packs: PacksClient, models: models_pb2_grpc.ModelsAsyncStub
) -> None:
    request = models_pb2.ListPlansRequest(parent="models/plain")
    before = await models.ListPlans(request)
    spec = cloning_pb2.CloneSpec(budget_macs=0.37)
    with pytest.raises(OperationFailedError) as failed:
        await cloned(packs, asked("fed-unlike", "four", source="plain", spec=spec))
    assert failed.value.reason == "FRAGMENTS_INCOMPATIBLE"
    assert "models/low and models/plain disagree" in failed.value.message
    assert await models.ListPlans(request) == before


async def test_a_part_is_put_in_behind_the_position_that_is_asked_for(packs: PacksClient) -> None:
    wrong = asked("nowhere", "three", spec=cloning_pb2.CloneSpec(position="nowhere"))
    with pytest.raises(OperationFailedError) as failed:
        await cloned(packs, wrong)
    assert failed.value.reason == "CLONE_POSITION_UNKNOWN"
    positions = failed.value.metadata["positions"].split(",")

    whole = await cloned(
        packs, asked("at-inputs", "three", spec=cloning_pb2.CloneSpec(position="inputs"))
    )
    behind = await cloned(
        packs, asked("behind", "three", spec=cloning_pb2.CloneSpec(position=positions[-1]))
    )
    assert (whole.clone.position, behind.clone.position) == ("inputs", positions[-1])
    # What both share is computed once.
    assert behind.macs < whole.macs


async def test_a_part_is_found_by_masks_where_that_is_asked_for(packs: PacksClient) -> None:
    spec = cloning_pb2.CloneSpec(locator=cloning_pb2.CLONE_LOCATOR_MASKS)
    made = await cloned(packs, asked("masked", "three", spec=spec))

    assert [one.fragment for one in made.fragments] == ["models/low"] * 3 + ["models/mixed"]
    kept = json.loads(await packs.read(made.manifest))["clone"]["kept_units"]
    assert all(0 < stay <= units for stay, units in kept.values())
    digits = unseen_digits((0, 1, 2, 3))
    named = (await answers(packs, made, digits.images)).argmax(axis=1)
    assert (named == digits.labels).mean() > 0.9


async def test_the_lineage_names_both_models_and_holds_the_fragment(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    made = await cloned(packs, asked("clone-of-both", "three"))

    found = await packs.stub.GetLineage(pb.GetLineageRequest(name=made.name))
    nodes = {node.name: node for node in found.nodes}
    fragment = made.fragments[3].fragment
    assert [node.name for node in found.nodes if node.kind == "fragment"] == [fragment]
    assert {node.name for node in found.nodes if node.kind == "model"} == {
        "models/low",
        "models/mixed",
    }
    assert made.clone.target_graph.name in nodes["models/low"].parents
    assert "models/low" in nodes[made.name].parents
    assert made.name in (await slicer.holders("mixed")).values()


async def test_a_replay_gets_the_first_result(packs: PacksClient) -> None:
    request = asked("clone-replayed", "three")
    request.request_id = "clone-once"
    first = await packs.stub.CloneClasses(request)
    again = await packs.stub.CloneClasses(request)
    assert first.name == again.name
    await packs.result(first)


async def test_a_request_that_is_only_checked_keeps_nothing(packs: PacksClient) -> None:
    request = asked("checked-only", "three")
    request.validate_only = True
    operation = await packs.stub.CloneClasses(request)
    assert operation.done
    assert "packs/checked-only" not in await packs.names()


@pytest.mark.parametrize(
    ("request_of", "reason"),
    [
        (lambda: asked("known", "two"), "CLONE_CLASS_KNOWN"),
        (lambda: asked("unknown", "nine"), "CLASS_UNKNOWN"),
        (lambda: asked("itself", "one", source="low"), "CLONE_SAME_MODEL"),
        (lambda: asked("clone-gone", "one", source="nobody"), "RESOURCE_NOT_FOUND"),
    ],
)
async def test_what_cannot_be_cloned_is_refused(
    packs: PacksClient, request_of: object, reason: str
) -> None:
    assert callable(request_of)
    with pytest.raises(OperationFailedError) as failed:
        await cloned(packs, request_of())
    assert failed.value.reason == reason


async def test_a_class_that_the_target_knows_is_cloned_under_another_name(
    packs: PacksClient,
) -> None:
    made = await cloned(packs, asked("second-two", "two=another two", "three"))
    assert list(made.labels) == ["zero", "one", "two", "another two", "three"]


async def test_every_broken_rule_of_a_request_is_told_at_once(packs: PacksClient) -> None:
    spec = cloning_pb2.CloneSpec(
        budget_macs=2.0, seed=-1, position="a\nb", locator=cloning_pb2.CLONE_LOCATOR_MASKS
    )
    request = asked("No Id", "three", "three", spec=spec)
    request.target = "low"
    refusal = await refusal_of(answer(packs.stub.CloneClasses(request)))
    assert {one.field for one in refusal.violations} >= {
        "target",
        "classes[0].label",
        "classes[1].label",
        "spec.budget_macs",
        "spec.position",
        "spec.seed",
        "pack_id",
    }


async def test_the_target_of_a_clone_stays_whole(packs: PacksClient, slicer: StockedSlicer) -> None:
    made = await cloned(packs, asked("clone-stays", "three"))

    remove = pb.RemoveClassesRequest(name=made.name, labels=["zero"])
    refusal = await refusal_of(answer(packs.stub.RemoveClasses(remove)))
    assert facts(refusal) == ("FAILED_PRECONDITION", "CLONE_TARGET_FIXED")
    [fragment] = slicer.named("plain/four")
    add = pb.AddClassesRequest(name=made.name, fragments=[pb.PackFragment(fragment=fragment)])
    refusal = await refusal_of(answer(packs.stub.AddClasses(add)))
    assert facts(refusal) == ("FAILED_PRECONDITION", "CLONE_TARGET_FIXED")


async def test_the_command_line_clones_and_gives_the_target_back(
    market_packer: ServiceProcess, slicer: StockedSlicer, tmp_path: Path
) -> None:
    servers = ("--packer", market_packer.address, "--slicer", slicer.process.address)
    made = await asyncio.to_thread(
        marketctl,
        *("packs", "clone", "low", "mixed", "--class", "two=another", "--class", "three"),
        *("--position", "inputs", "--id", "cloned-by-hand", "-o", "json", *servers),
    )
    assert made.code == 0, made.err
    assert made.data["labels"] == ["zero", "one", "two", "another", "three"]
    assert made.data["clone"]["position"] == "inputs"

    shown = await asyncio.to_thread(marketctl, "packs", "show", "cloned-by-hand", *servers)
    assert "another, three, of models/mixed" in " ".join(shown.out.split())
    path = tmp_path / "target.onnx"
    given = await asyncio.to_thread(
        marketctl, "packs", "download", "cloned-by-hand", "--part", "target", "--to", path, *servers
    )
    assert given.code == 0, given.err
    assert path.read_bytes() == digit_model((0, 1, 2), width=4).graph
    wrong = await asyncio.to_thread(marketctl, "packs", "clone", "low", "mixed", "--class", "=x")
    assert (wrong.code, "LABEL=NAME" in wrong.err) == (2, True)


async def test_the_target_is_given_back_after_its_model_is_gone(
    packs: PacksClient, slicer: StockedSlicer, models: models_pb2_grpc.ModelsAsyncStub
) -> None:
    await asyncio.to_thread(slicer.add, "short-lived", (6, 7), 0.5)
    request = asked("clone-outlives", "three")
    request.target = "models/short-lived"
    made = await cloned(packs, request)
    gone = models_pb2.DeleteModelRequest(name="models/short-lived", force=True)
    await models.DeleteModel(gone)

    fewer = pb.RemoveClassesRequest(name=made.name, labels=["three"], pack_id="outlives-alone")
    left = await packs.result(await packs.stub.RemoveClasses(fewer))
    assert await packs.read(left.clone.target_graph) == digit_model((6, 7), width=4).graph
    digits = unseen_digits((6, 7))
    named = (await answers(packs, left, digits.images)).argmax(axis=1)
    assert (named == digits.labels).mean() > 0.9
