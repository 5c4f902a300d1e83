"""By what packs are judged, with a real slicer that slices anew."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence

import grpc
import numpy as np
import onnxruntime
import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import models_pb2, models_pb2_grpc

from svckit.clients.artifacts import upload
from tests.helpers.digit_models import NAMES, digit_model, unseen_digits
from tests.helpers.errors import error_info_of, reason_of
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packs_client import PacksClient, parts
from tests.helpers.stocked_slicer import StockedSlicer

TARGET = ("low/zero", "mixed/three")
DIGITS = (0, 3)
ANEW = pb.EVALUATION_KIND_SLICED_ANEW
HEAD_ALONE = pb.EVALUATION_KIND_HEAD_ALONE
GIVEN = pb.EVALUATION_KIND_EVALUATION_SAMPLES


def digit_samples(digits: Sequence[int], **changes: np.ndarray) -> bytes:
    """Unseen digits as evaluation samples."""
    unseen = unseen_digits(digits)
    labels = np.array([NAMES[digits[place]] for place in unseen.labels])
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **({"image": unseen.images, "labels": labels} | changes))
    return buffer.getvalue()


async def sent(packs: PacksClient, data: bytes) -> str:
    return (await upload(packs.channel, data)).name


def request(
    pack_id: str, fragments: Sequence[str], options: pb.PackOptions | None = None
) -> pb.CreatePackRequest:
    pack = pb.Pack(fragments=parts(fragments), options=options)
    return pb.CreatePackRequest(pack_id=pack_id, pack=pack)


async def made(packs: PacksClient, asked: pb.CreatePackRequest) -> pb.Pack:
    return await packs.result(await packs.stub.CreatePack(asked))


async def unseen_error(packs: PacksClient, pack: pb.Pack, digits: Sequence[int]) -> float:

    unseen = unseen_digits(digits)
    session = onnxruntime.InferenceSession(await packs.read(pack.graph))
    answers = session.run(["probabilities"], {"image": unseen.images})[0]
    return float((answers.argmax(1) != unseen.labels).mean())


async def test_without_a_word_the_head_alone_judges_and_says_that_it_is_optimistic(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    pack = await made(packs, request("judged-by-head", slicer.named(*TARGET)))
    found = pack.proof_summary.evaluation
    proof = json.loads(await packs.read(pack.proof))["evaluation"]

    assert (found.kind, found.optimistic, found.samples) == (HEAD_ALONE, True, 40)
    assert found.accuracy == pack.proof_summary.cross_validated_accuracy
    assert found.error < found.error_upper_bound < 1
    assert pack.options.evaluation == HEAD_ALONE
    assert not pack.HasField("acceptance")
    assert set(proof) == {
        *("kind", "accuracy", "error", "error_upper_bound", "samples", "confusion", "optimistic")
    }
    assert (proof["kind"], sum(map(sum, proof["confusion"]))) == ("head_alone", 40)


async def test_evaluation_samples_judge_what_is_served(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    options = pb.PackOptions(evaluation_samples=await sent(packs, digit_samples(DIGITS)))
    pack = await made(packs, request("judged-on-samples", slicer.named(*TARGET), options))
    plain = await made(packs, request("judged-on-none", slicer.named(*TARGET)))
    found = pack.proof_summary.evaluation
    proof = json.loads(await packs.read(pack.proof))["evaluation"]

    assert (found.kind, found.optimistic) == (GIVEN, False)
    assert found.samples == len(unseen_digits(DIGITS).labels)
    assert found.error == pytest.approx(await unseen_error(packs, pack, DIGITS))
    truth = np.bincount(unseen_digits(DIGITS).labels).tolist()
    assert [sum(row) for row in proof["confusion"]] == truth
    assert (pack.options.evaluation_samples, pack.options.evaluation) == (
        options.evaluation_samples,
        GIVEN,
    )
    # They touched neither slicing nor head.
    assert pack.graph == plain.graph


async def test_a_changed_pack_needs_samples_of_its_own(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    options = pb.PackOptions(evaluation_samples=await sent(packs, digit_samples(DIGITS)))
    base = await made(packs, request("own-samples", slicer.named(*TARGET), options))
    more = parts(slicer.named("low/one"))
    without = await packs.result(
        await packs.stub.AddClasses(pb.AddClassesRequest(name=base.name, fragments=more))
    )
    three = await sent(packs, digit_samples((0, 1, 3)))
    added = await packs.result(
        await packs.stub.AddClasses(
            pb.AddClassesRequest(name=base.name, fragments=more, evaluation_samples=three)
        )
    )
    two = await sent(packs, digit_samples((0, 1)))
    removed = await packs.result(
        await packs.stub.RemoveClasses(
            pb.RemoveClassesRequest(name=added.name, labels=["three"], evaluation_samples=two)
        )
    )

    assert without.proof_summary.evaluation.kind == HEAD_ALONE
    assert without.options.evaluation_samples == ""
    assert added.proof_summary.evaluation.kind == GIVEN
    assert removed.proof_summary.evaluation.kind == GIVEN
    assert removed.proof_summary.evaluation.samples == len(unseen_digits((0, 1)).labels)


async def test_samples_that_do_not_fit_fail_the_operation(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    [model_samples] = [digit_model((0, 1, 2), width=4).samples]
    with np.load(io.BytesIO(model_samples)) as arrays:
        chosen = arrays["labels"] == 0
        seen = arrays["image"][chosen][:1]
    unseen = unseen_digits(DIGITS)
    among = unseen.images.copy()
    among[5] = seen[0]
    cases = {
        "FIELD_INVALID": digit_samples(DIGITS, image=among),
        "SAMPLES_CLASS_MISSING": digit_samples((0,)),
        "CLASS_UNKNOWN": digit_samples((0, 1, 3)),
        "SAMPLES_UNREADABLE": b"no archive",
    }
    for reason, data in cases.items():
        options = pb.PackOptions(evaluation_samples=await sent(packs, data))
        with pytest.raises(OperationFailedError) as refused:
            await made(packs, request("misjudged", slicer.named(*TARGET), options))
        assert (refused.value.code, refused.value.reason) == ("INVALID_ARGUMENT", reason)
    assert "packs/misjudged" not in await packs.names()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (pb.PackOptions(evaluation=GIVEN), "pack.options.evaluation"),
        (pb.PackOptions(evaluation_samples="x"), "pack.options.evaluation_samples"),
        (
            pb.PackOptions(evaluation_samples=f"artifacts/sha256:{64 * '0'}", evaluation=ANEW),
            "pack.options.evaluation",
        ),
    ],
)
async def test_contradictions_are_refused_at_once(
    packs: PacksClient, slicer: StockedSlicer, options: pb.PackOptions, field: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await packs.stub.CreatePack(request("x", slicer.named(*TARGET), options))
    assert reason_of(refused.value) == "FIELD_INVALID"
    assert error_info_of(refused.value).metadata["field"] == field


async def test_samples_that_were_never_sent_are_not_found(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    name = f"artifacts/sha256:{64 * '0'}"
    asked = request("x", slicer.named(*TARGET), pb.PackOptions(evaluation_samples=name))
    asked.validate_only = True
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await packs.stub.CreatePack(asked)
    assert reason_of(refused.value) == "RESOURCE_NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError) as malformed:
        await packs.stub.RemoveClasses(
            pb.RemoveClassesRequest(name="packs/x", labels=["a"], evaluation_samples="nonsense")
        )
    assert reason_of(malformed.value) == "FIELD_INVALID"


async def test_sliced_anew_in_every_fold_nothing_is_left_in_the_slicer(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    before = await listed(slicer)
    options = pb.PackOptions(evaluation=ANEW)
    pack = await made(packs, request("judged-anew", slicer.named(*TARGET), options))
    plain = await made(packs, request("not-anew", slicer.named(*TARGET)))
    found = pack.proof_summary.evaluation

    assert (found.kind, found.optimistic, found.samples) == (ANEW, False, 40)
    assert found.error < 0.3
    assert pack.graph == plain.graph
    assert await listed(slicer) == before
    added = await packs.result(
        await packs.stub.AddClasses(
            pb.AddClassesRequest(name=pack.name, fragments=parts(slicer.named("low/one")))
        )
    )
    assert added.proof_summary.evaluation.kind == ANEW
    assert added.proof_summary.evaluation.samples == 60


async def test_fragments_that_are_fed_differently_are_sliced_anew_too(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "large/four")
    pack = await made(packs, request("mixed-anew", names, pb.PackOptions(evaluation=ANEW)))
    found = pack.proof_summary.evaluation

    assert (found.kind, found.samples) == (ANEW, 40)
    # Far from what a branch would get that is fed as another one.
    assert found.error < pack.proof_summary.evaluation.error_upper_bound < 0.4


async def test_fragments_that_are_gone_cannot_be_sliced_anew(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    [name, *_] = await asyncio.to_thread(slicer.add, "fleeting", (6, 7), 0.5)
    base = await packs.create("fleeting", [*slicer.named("low/zero"), name])
    async with grpc.aio.insecure_channel(slicer.process.address) as channel:
        stub: models_pb2_grpc.ModelsAsyncStub = models_pb2_grpc.ModelsStub(channel)
        fragment = await stub.GetFragment(models_pb2.GetFragmentRequest(name=name))
        await stub.DeletePlan(models_pb2.DeletePlanRequest(name=fragment.plan))
    asked = request(
        "never-anew", [*slicer.named("low/zero"), name], pb.PackOptions(evaluation=ANEW)
    )
    with pytest.raises(OperationFailedError) as refused:
        await made(packs, asked)

    assert (refused.value.code, refused.value.reason) == (
        "FAILED_PRECONDITION",
        "RESOURCE_NOT_FOUND",
    )
    assert refused.value.metadata["resource"] == fragment.plan
    await packs.delete(base.name.removeprefix("packs/"))


async def listed(slicer: StockedSlicer) -> list[str]:
    """All plans and fragments of the slicer."""
    async with grpc.aio.insecure_channel(slicer.process.address) as channel:
        stub: models_pb2_grpc.ModelsAsyncStub = models_pb2_grpc.ModelsStub(channel)
        fragments = await stub.ListFragments(
            models_pb2.ListFragmentsRequest(parent="models/-", page_size=1000)
        )
        plans = [
            await stub.ListPlans(models_pb2.ListPlansRequest(parent=f"models/{name}"))
            for name in ("low", "mixed")
        ]
    names = [one.name for one in fragments.fragments]
    return sorted([*names, *(plan.name for page in plans for plan in page.plans)])
