"""Packs that tell whether an input belongs to any of their classes, over gRPC."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb

from benchmarks.demo.digits import split_digits
from packer_svc.fusion.roc import roc
from tests.helpers.operations_client import OperationFailedError
from tests.helpers.packs_client import Fragment, PacksClient, parts
from tests.helpers.stocked_slicer import StockedSlicer


def request(pack_id: str, names: list[str], **options: Any) -> pb.CreatePackRequest:
    """Asks for a pack with the second output."""
    fragments: list[Fragment] = [*names]
    pack = pb.Pack(fragments=parts(fragments))
    pack.options.none_of_these = True
    for field, value in options.items():
        setattr(pack.options, field, value)
    return pb.CreatePackRequest(pack_id=pack_id, pack=pack)


async def answers(
    packs: PacksClient, pack: pb.Pack, digits: tuple[int, ...]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Probabilities and scores `(n,)` of digits that nothing has seen."""
    images = split_digits(0).test.only(digits).images
    session = onnxruntime.InferenceSession(await packs.read(pack.graph))
    found = session.run(["probabilities", "none_of_these"], {"image": images})
    assert found[1].shape == (len(images), 1)
    assert found[1].dtype == np.float32
    assert 0 <= found[1].min() <= found[1].max() <= 1
    return np.asarray(found[0]), found[1][:, 0].astype(np.float64)


async def test_digits_of_no_class_of_the_pack_have_higher_scores(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "low/one", "mixed/three")
    plain = await packs.create("none-plain", names)
    made = await packs.result(await packs.stub.CreatePack(request("none", names)))
    inside = await answers(packs, made, (0, 1, 3))
    outside = await answers(packs, made, (2,))
    stranger = await answers(packs, made, (4, 6))

    assert made.options.none_of_these
    assert roc(inside[1], outside[1]).auc > 0.9
    assert roc(inside[1], stranger[1]).auc > 0.7
    assert not plain.proof_summary.HasField("none_of_these_auc")
    assert 0 <= made.proof_summary.none_of_these_auc <= 1
    session = onnxruntime.InferenceSession(await packs.read(plain.graph))
    assert [one.name for one in session.get_outputs()] == ["probabilities"]
    images = split_digits(0).test.only((0, 1, 3)).images
    np.testing.assert_allclose(session.run(None, {"image": images})[0], inside[0], atol=1e-5)


async def test_proof_manifest_and_smoke_test_tell_of_the_second_output(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "mixed/three")
    made = await packs.result(await packs.stub.CreatePack(request("none-told", names)))
    proof = json.loads(await packs.read(made.proof))
    manifest = json.loads(await packs.read(made.manifest))
    with np.load(io.BytesIO(await packs.read(made.smoke_test)), allow_pickle=False) as smoke:
        stored = dict(smoke)

    told = proof["none_of_these"]
    assert manifest["none_of_these"] == told
    assert set(told) == {
        *("auc", "threshold", "roc", "samples_inside", "samples_outside", "origin", "score")
    }
    # "two" is a class of both models, and outside once: 20 samples, which both submitted.
    assert (told["samples_inside"], told["samples_outside"]) == (40, 40)
    assert told["origin"] == "other classes of the market's models"
    assert told["auc"] == made.proof_summary.none_of_these_auc
    false, true = told["roc"]["false_positive_rate"], told["roc"]["true_positive_rate"]
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    assert len(false) == len(true) <= 101
    outputs = {name for name in stored if name.startswith("output/")}
    assert outputs == {"output/probabilities", "output/none_of_these"}


async def test_what_is_asked_stays_when_classes_come_and_go(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "low/one")
    base = await packs.result(await packs.stub.CreatePack(request("none-base", names)))
    more = pb.AddClassesRequest(name=base.name, fragments=parts(slicer.named("mixed/three")))
    added = await packs.result(await packs.stub.AddClasses(more))
    fewer = pb.RemoveClassesRequest(name=added.name, labels=["one"])
    removed = await packs.result(await packs.stub.RemoveClasses(fewer))
    anew = request("none-anew", slicer.named("low/zero", "mixed/three"))

    assert added.options == removed.options == base.options
    assert (await packs.result(await packs.stub.CreatePack(anew))).graph == removed.graph


@pytest.mark.parametrize("precision", [pb.PRECISION_FP16, pb.PRECISION_BF16, pb.PRECISION_INT8])
async def test_the_score_is_there_in_fewer_bits_too(
    packs: PacksClient, slicer: StockedSlicer, precision: pb.Precision
) -> None:
    names = slicer.named("low/zero", "mixed/three")
    asked = request(f"none-{precision}", names, precision=precision)
    made = await packs.result(await packs.stub.CreatePack(asked))
    proof = json.loads(await packs.read(made.proof))
    inside = await answers(packs, made, (0, 3))
    outside = await answers(packs, made, (2,))

    assert proof["precision"]["none_of_these_moved"] < 0.02
    assert roc(inside[1], outside[1]).auc > 0.9


async def test_samples_outside_are_brought_to_the_inputs_of_the_pack(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "large/four")
    made = await packs.result(await packs.stub.CreatePack(request("none-mixed", names)))
    told = json.loads(await packs.read(made.proof))["none_of_these"]

    assert list(made.inputs[0].shape) == [16, 16, 1]
    # "one" and "two" of the one model, "five" of the other.
    assert told["samples_outside"] == 60
    assert told["auc"] > 0.7


async def test_two_classes_of_models_that_know_no_other_are_refused(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("plain/four", "plain/five")
    with pytest.raises(OperationFailedError) as refused:
        await packs.result(await packs.stub.CreatePack(request("none-never", names)))
    assert (refused.value.code, refused.value.reason) == (
        "INVALID_ARGUMENT",
        "NONE_OF_THESE_UNSUPPORTED",
    )
