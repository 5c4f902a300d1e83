"""Packs from a real slicer's fragments, over gRPC with real processes."""

from __future__ import annotations

import json

import grpc
import onnxruntime
import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb
from sliceandpack.slicer.v1 import input_spec_pb2

from tests.helpers.digit_models import unseen_digits
from tests.helpers.errors import reason_of
from tests.helpers.packs_client import PacksClient, parts
from tests.helpers.stocked_slicer import StockedSlicer


async def accuracy(packs: PacksClient, pack: pb.Pack, digits: tuple[int, ...]) -> float:
    """The share of unseen digits that a pack names rightly."""
    unseen = unseen_digits(digits)
    session = onnxruntime.InferenceSession(await packs.read(pack.graph))
    answers = session.run(["probabilities"], {"image": unseen.images})[0]
    return float((answers.argmax(1) == unseen.labels).mean())


async def test_a_pack_tells_classes_of_two_models_apart(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    made = await packs.create("told-apart", slicer.named("low/zero", "mixed/three"))

    assert (made.name, list(made.labels)) == ("packs/told-apart", ["zero", "three"])
    assert made.head.kind == pb.HEAD_KIND_CLOSED_FORM
    assert await accuracy(packs, made, (0, 3)) > 0.9
    assert 0 < made.parameters < made.ensemble_parameters
    assert 0 < made.macs < made.ensemble_macs
    assert made.proof_summary.top1_agreement == 1.0
    assert made.proof_summary.cross_validated_accuracy > 0.9
    [image] = made.inputs
    assert (image.name, list(image.shape)) == ("image", [1, 8, 8])
    assert image.element_type == input_spec_pb2.ELEMENT_TYPE_FLOAT32
    assert await packs.get("told-apart") == made


async def test_a_packs_papers_name_what_it_was_made_of(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/one", "mixed/three")
    made = await packs.create("papers", names)
    manifest = json.loads(await packs.read(made.manifest))
    proof = json.loads(await packs.read(made.proof))

    assert [part["fragment"] for part in manifest["fragments"]] == names
    assert manifest["classes"] == ["one", "three"]
    assert f"artifacts/{proof['pack_digest']}" == made.graph.name
    assert [one.licence for one in made.fragments] == ["MIT", "MIT"]
    assert all(one.graph_digest.startswith("sha256:") for one in made.fragments)


async def test_the_papers_head_makes_a_pack_too(packs: PacksClient, slicer: StockedSlicer) -> None:
    head = pb.HeadSpec(kind=pb.HEAD_KIND_PAPER, encoder_width=8, delta=0.5, steps=60, seed=3)
    made = await packs.create("papers-head", slicer.named("low/zero", "mixed/three"), head)

    assert made.head == head
    assert await accuracy(packs, made, (0, 3)) > 0.9


async def test_a_pack_in_integers_says_what_that_cost(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    names = slicer.named("low/zero", "mixed/three")
    wide = await packs.create("wide", names)
    request = pb.CreatePackRequest(pack_id="narrow", pack=pb.Pack(fragments=parts(names)))
    request.pack.options.precision = pb.PRECISION_INT8
    narrow = await packs.result(await packs.stub.CreatePack(request))

    assert narrow.options.precision == pb.PRECISION_INT8
    assert narrow.graph.name != wide.graph.name
    assert (narrow.parameters, narrow.macs) == (wide.parameters, wide.macs)
    assert narrow.proof_summary.precision_divergence > 0 == wide.proof_summary.precision_divergence
    assert await accuracy(packs, narrow, (0, 3)) > 0.9
    added = await packs.result(
        await packs.stub.AddClasses(
            pb.AddClassesRequest(name=narrow.name, fragments=parts(slicer.named("low/one")))
        )
    )
    assert added.options == narrow.options


async def test_a_pack_without_an_id_is_given_one(packs: PacksClient, slicer: StockedSlicer) -> None:
    made = await packs.create("", slicer.named("low/zero", "low/one"))
    assert made.name.startswith("packs/pack-")
    await packs.delete(made.name.removeprefix("packs/"))


async def test_classes_are_added_and_removed_by_making_new_packs(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    base = await packs.create("base", slicer.named("low/zero", "low/one"))
    added = await packs.result(
        await packs.stub.AddClasses(
            pb.AddClassesRequest(
                name=base.name, fragments=parts(slicer.named("mixed/three")), pack_id="more"
            )
        )
    )
    removed = await packs.result(
        await packs.stub.RemoveClasses(
            pb.RemoveClassesRequest(name=added.name, labels=["one"], pack_id="fewer")
        )
    )

    assert list(added.labels) == ["zero", "one", "three"]
    assert list(removed.labels) == ["zero", "three"]
    assert [one.fragment for one in removed.fragments] == slicer.named("low/zero", "mixed/three")
    assert await packs.get("base") == base
    assert await accuracy(packs, added, (0, 1, 3)) > 0.85


async def test_changes_that_are_only_checked_make_no_pack(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    base = await packs.create("checked", slicer.named("low/zero", "low/one", "low/two"))
    added = await packs.stub.AddClasses(
        pb.AddClassesRequest(
            name=base.name,
            fragments=parts(slicer.named("mixed/three")),
            pack_id="checked-more",
            validate_only=True,
        )
    )
    removed = await packs.stub.RemoveClasses(
        pb.RemoveClassesRequest(
            name=base.name, labels=["one"], pack_id="checked-fewer", validate_only=True
        )
    )

    assert (added.done, added.name, removed.done, removed.name) == (True, "", True, "")
    for pack_id in ("checked-more", "checked-fewer"):
        with pytest.raises(grpc.aio.AioRpcError):
            await packs.get(pack_id)


async def test_what_cannot_be_removed_is_told(packs: PacksClient, slicer: StockedSlicer) -> None:
    base = await packs.create("smallest", slicer.named("low/zero", "low/one"))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await packs.stub.RemoveClasses(
            pb.RemoveClassesRequest(name=base.name, labels=["one", "seven"])
        )
    assert reason_of(refused.value) == "FIELD_INVALID"
    assert "no class 'seven'" in str(refused.value.details())
    assert "at least 2 classes" in str(refused.value.details())


async def test_what_is_there_already_cannot_be_added(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    base = await packs.create("full", slicer.named("low/zero", "low/one"))
    request = pb.AddClassesRequest(name=base.name, fragments=parts(slicer.named("low/one")))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await packs.stub.AddClasses(request)
    assert reason_of(refused.value) == "FRAGMENTS_DUPLICATE"


async def test_equal_labels_of_two_models_share_an_output_if_both_are_given_it(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    low, mixed, zero = slicer.named("low/two", "mixed/two", "low/zero")
    shared = await packs.create("shared", [(low, "zwei"), zero, (mixed, "zwei")])

    assert list(shared.labels) == ["zwei", "zero"]
    assert [one.label for one in shared.fragments] == ["zwei", "zero", "zwei"]
    assert await accuracy(packs, shared, (2, 0)) > 0.85


async def test_a_pack_knows_its_lineage(packs: PacksClient, slicer: StockedSlicer) -> None:
    names = slicer.named("low/zero", "mixed/three")
    made = await packs.create("lineage", names)
    lineage = await packs.stub.GetLineage(pb.GetLineageRequest(name=made.name))
    nodes = {node.name: node for node in lineage.nodes}

    assert lineage.nodes[0].name == made.name
    assert len(nodes) == len(lineage.nodes)
    assert [name for name, node in nodes.items() if node.kind == "fragment"] == names
    assert {name for name, node in nodes.items() if node.kind == "model"} == {
        "models/low",
        "models/mixed",
    }
    assert {made.graph.name, made.manifest.name, made.proof.name} <= set(nodes[made.name].parents)
    assert all(parent in nodes for node in nodes.values() for parent in node.parents)
    assert nodes["models/low"].licence == "MIT"


async def test_packs_are_listed_by_label_in_pages(
    packs: PacksClient, slicer: StockedSlicer
) -> None:
    zero, one, three = slicer.named("low/zero", "low/one", "mixed/three")
    await packs.create("list-a", [(zero, "listed"), one])
    await packs.create("list-b", [zero, one])
    await packs.create("list-c", [(zero, "listed"), three])

    assert await packs.names(filter='label = "listed"') == ["packs/list-a", "packs/list-c"]
    first = await packs.stub.ListPacks(
        pb.ListPacksRequest(page_size=1, filter='label = "listed"', order_by="name desc")
    )
    assert [pack.name for pack in first.packs] == ["packs/list-c"]
    rest = await packs.stub.ListPacks(
        pb.ListPacksRequest(
            filter='label = "listed"', order_by="name desc", page_token=first.next_page_token
        )
    )
    assert [pack.name for pack in rest.packs] == ["packs/list-a"]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await packs.names(filter='colour = "red"')
    assert reason_of(refused.value) == "FILTER_INVALID"
