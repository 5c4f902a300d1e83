"""Packs of classes that were cut together, over gRPC with real processes."""

from __future__ import annotations

import json

import onnx
import onnxruntime
import pytest
from sliceandpack.packer.v1 import packs_pb2 as pb

from tests.helpers.digit_models import unseen_digits
from tests.helpers.packs_client import Fragment, PacksClient, parts
from tests.helpers.stocked_slicer import StockedSlicer


@pytest.fixture(scope="module")
def trunk(slicer: StockedSlicer) -> list[str]:
    """Fragments of zero, one and two that share a graph."""
    return slicer.cut_together("low", ["zero", "one", "two"])


async def graph_of(packs: PacksClient, pack: pb.Pack) -> onnx.ModelProto:
    return onnx.load_from_string(await packs.read(pack.graph))


async def accuracy(packs: PacksClient, pack: pb.Pack, digits: tuple[int, ...]) -> float:
    unseen = unseen_digits(digits)
    session = onnxruntime.InferenceSession(await packs.read(pack.graph))
    answers = session.run(["probabilities"], {"image": unseen.images})[0]
    return float((answers.argmax(1) == unseen.labels).mean())


async def test_a_graph_of_several_classes_is_computed_and_read_once(
    packs: PacksClient, slicer: StockedSlicer, trunk: list[str]
) -> None:
    made = await packs.create("trunk", trunk)
    apart = await packs.create("no-trunk", slicer.named("low/zero", "low/one", "low/two"))

    assert list(made.labels) == ["zero", "one", "two"]
    # The same plan: three networks of one size against one.
    assert 2.5 * made.macs < apart.macs
    assert 2.5 * made.parameters < apart.parameters
    graph = await graph_of(packs, made)
    assert {node.name.partition(".")[0] for node in graph.graph.node} <= {"fragment0", "head", ""}
    assert made.proof_summary.top1_agreement == 1.0
    assert await accuracy(packs, made, (0, 1, 2)) > 0.85
    manifest = json.loads(await packs.read(made.manifest))
    assert [part["fragment"] for part in manifest["fragments"]] == trunk
    assert len({part["graph_digest"] for part in manifest["fragments"]}) == 1
    assert manifest["graph"]["macs"] == made.macs


async def test_the_papers_head_decodes_a_shared_graph_for_all_of_its_classes(
    packs: PacksClient, trunk: list[str]
) -> None:
    head = pb.HeadSpec(kind=pb.HEAD_KIND_PAPER, encoder_width=8, steps=60)
    made = await packs.create("trunk-of-the-paper", trunk, head)
    assert made.proof_summary.top1_agreement == 1.0
    assert await accuracy(packs, made, (0, 1, 2)) > 0.8


async def test_classes_come_and_go_beside_a_shared_graph(
    packs: PacksClient, slicer: StockedSlicer, trunk: list[str]
) -> None:
    base = await packs.create("trunk-base", trunk[:2])
    added = await packs.result(
        await packs.stub.AddClasses(
            pb.AddClassesRequest(
                name=base.name,
                fragments=parts([trunk[2], *slicer.named("mixed/three")]),
                pack_id="trunk-more",
            )
        )
    )
    removed = await packs.result(
        await packs.stub.RemoveClasses(
            pb.RemoveClassesRequest(
                name=added.name, labels=["zero", "three"], pack_id="trunk-fewer"
            )
        )
    )
    assert list(added.labels) == ["zero", "one", "two", "three"]
    assert list(removed.labels) == ["one", "two"]
    assert await accuracy(packs, added, (0, 1, 2, 3)) > 0.8
    # Whichever of its classes are wanted, the graph is the same; only the head is another.
    assert abs(removed.macs - base.macs) < 0.05 * base.macs
    assert await accuracy(packs, removed, (1, 2)) > 0.85


async def test_a_class_cut_together_and_alone_can_share_an_output(
    packs: PacksClient, slicer: StockedSlicer, trunk: list[str]
) -> None:
    (alone,) = slicer.named("low/zero")
    mapped: list[Fragment] = [(trunk[0], "zero"), trunk[1], (alone, "zero")]
    made = await packs.create("trunk-and-alone", mapped)
    assert list(made.labels) == ["zero", "one"]
    assert await accuracy(packs, made, (0, 1)) > 0.9
