"""Packs of fragments that are fed differently, over gRPC with real processes."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import input_spec_pb2

from tests.helpers.digit_models import large_pictures, unseen_digits
from tests.helpers.packs_client import PacksClient, parts
from tests.helpers.stocked_slicer import StockedSlicer

UNSEEN = unseen_digits((0, 4))


async def probabilities(
    packs: PacksClient, pack: pb.Pack, images: npt.NDArray[np.generic]
) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(await packs.read(pack.graph))
    (found,) = session.run(["probabilities"], {"image": images})
    return np.asarray(found)


async def test_fragments_of_other_sizes_types_and_layouts_make_one_pack(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    made = await packs.create("unlike", slicer.named("low/zero", "large/four"))

    (image,) = made.inputs
    assert (image.name, list(image.shape)) == ("image", [16, 16, 1])
    assert image.element_type == input_spec_pb2.ELEMENT_TYPE_UINT8
    assert image.image.layout == input_spec_pb2.IMAGE_LAYOUT_NHWC
    answers = await probabilities(packs, made, large_pictures(UNSEEN.images))
    assert (answers.argmax(1) == UNSEEN.labels).mean() > 0.9
    manifest = json.loads(await packs.read(made.manifest))
    assert [one["element_type"] for one in manifest["inputs"]] == ["uint8"]


async def test_a_class_of_another_input_can_be_added_and_taken_away(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    first = await packs.create("unlike-first", slicer.named("low/zero", "low/one"))
    request = pb.AddClassesRequest(name=first.name, pack_id="unlike-grown")
    request.fragments.extend(parts(slicer.named("large/four")))
    grown = await packs.result(await packs.stub.AddClasses(request))
    removal = pb.RemoveClassesRequest(name=grown.name, labels=["four"], pack_id="unlike-again")
    again = await packs.result(await packs.stub.RemoveClasses(removal))

    assert list(grown.inputs[0].shape) == [16, 16, 1]
    assert again.inputs == first.inputs
    assert again.graph == first.graph


@pytest.mark.parametrize("precision", ["FP32", "INT8", "FP16", "BF16"])
async def test_a_pack_can_take_its_pictures_in_bytes(
    packs: PacksClient, slicer: StockedSlicer, precision: str
) -> None:
    pack_id = f"bytes-{precision.lower()}"
    request = pb.CreatePackRequest(pack_id=pack_id)
    request.pack.fragments.extend(parts(slicer.named("low/zero", "mixed/three")))
    request.pack.options.picture_form = pb.PICTURE_FORM_UINT8
    request.pack.options.precision = pb.Precision.Value(f"PRECISION_{precision}")
    made = await packs.result(await packs.stub.CreatePack(request))

    assert made.options.picture_form == pb.PICTURE_FORM_UINT8
    assert made.inputs[0].element_type == input_spec_pb2.ELEMENT_TYPE_UINT8
    assert made.inputs[0].image.value_range.maximum == 255
    unseen = unseen_digits((0, 3))
    shown = np.rint(unseen.images * 255).astype(np.uint8)
    answers = await probabilities(packs, made, shown)
    assert (answers.argmax(1) == unseen.labels).mean() > 0.9
