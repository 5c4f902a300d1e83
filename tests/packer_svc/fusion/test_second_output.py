"""The output "none_of_these" of a pack, in its graph and in its proof."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxgraph.parity import compare, run_onnx
from packer_svc.fusion.errors import FusionError
from packer_svc.fusion.features import Fragment, FragmentFeatures
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.model import Head
from packer_svc.fusion.heads.none_of_these import (
    NoneOfThese,
    NoneReport,
    NoneSamples,
    fit_none_of_these,
)
from packer_svc.fusion.heads.spec import HeadKind, HeadSpec
from packer_svc.fusion.pack import NONE_OF_THESE, PROBABILITIES, build_pack
from packer_svc.fusion.precision import Precision, check_lowered, lower
from packer_svc.fusion.proof import Proof
from packer_svc.fusion.prove import ProofContext, prove
from packer_svc.fusion.samples import PackSamples, SampleBlock
from tests.helpers.fragments import CONVOLUTION, DENSE, POINTWISE, case

LABELS = ("zero", "three", "six")
CLASSES = 3


@dataclass(frozen=True)
class Scored:
    """A pack of three of six classes, whose models know the others as well."""

    graph: bytes
    plain: bytes
    fragments: tuple[bytes, ...]
    head: Head
    score: tuple[NoneOfThese, NoneReport]
    samples: PackSamples
    features: tuple[FragmentFeatures, ...]


def scored(spec: HeadSpec, *texts: str) -> Scored:
    shown = case(*(texts or (CONVOLUTION, DENSE, POINTWISE)), classes=6)
    rows = np.flatnonzero(shown.labels < CLASSES)
    features = tuple(part.rows(rows) for part in shown.features)
    serves = [[place % CLASSES] for place in range(len(features))]
    head, _ = fit_head(features, shown.labels[rows], CLASSES, spec, serves=serves)
    known = NoneSamples(shown.features, shown.labels, CLASSES, serves)
    score = fit_none_of_these(known, spec.seed)
    blocks = [
        SampleBlock({"image": shown.inputs["image"][shown.labels == label]}, label, str(label))
        for label in range(CLASSES)
    ]
    return Scored(
        build_pack(shown.fragments, head, LABELS, score[0]),
        build_pack(shown.fragments, head, LABELS),
        shown.fragments,
        head,
        score,
        PackSamples.of(blocks),
        features,
    )


def proven(one: Scored, graph: bytes | None = None) -> Proof:
    loaded = [Fragment(fragment) for fragment in one.fragments]
    context = ProofContext(features=one.features, none_of_these=one.score)
    samples = one.samples
    return prove(graph or one.graph, loaded, one.head, samples.inputs, samples.labels, context)


SPECS = (
    HeadSpec(),
    HeadSpec(encoder_width=2),
    HeadSpec(kind=HeadKind.PAPER, encoder_width=2, steps=20),
    HeadSpec(kind=HeadKind.PAPER, steps=20),
)


@pytest.mark.parametrize("spec", SPECS)
def test_the_graph_gives_what_the_parts_give(spec: HeadSpec) -> None:
    one = scored(spec)
    found = run_onnx(one.graph, one.samples.inputs)
    plain = run_onnx(one.plain, one.samples.inputs)
    wanted = one.score[0].probability(one.features)

    assert found[NONE_OF_THESE].dtype == np.float32
    assert compare(found[NONE_OF_THESE], wanted, atol=1e-5, rtol=0).passed
    assert compare(found[PROBABILITIES], plain[PROBABILITIES], atol=1e-5, rtol=0).passed
    assert proven(one).passed


def test_one_fragment_alone_can_carry_both_outputs() -> None:
    assert proven(scored(HeadSpec(), DENSE)).passed


def test_the_second_output_takes_three_nodes_and_has_a_free_batch() -> None:
    one = scored(HeadSpec())
    graph = onnx.load_from_string(one.graph).graph
    plain = onnx.load_from_string(one.plain).graph

    assert [output.name for output in graph.output] == [PROBABILITIES, NONE_OF_THESE]
    assert [output.name for output in plain.output] == [PROBABILITIES]
    first, second = graph.output[1].type.tensor_type.shape.dim
    assert first.dim_param
    assert second.dim_value == 1
    assert len(graph.node) <= len(plain.node) + 3


def test_a_score_that_is_not_its_parts_fails_the_proof() -> None:
    one = scored(HeadSpec())
    proto = onnx.load_from_string(one.graph)
    [bias] = [w for w in proto.graph.initializer if w.name == "head.none_of_these.bias"]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.5), bias.name))
    assert not proven(one, proto.SerializeToString()).passed


def test_a_proof_tells_of_the_second_output_where_there_is_one() -> None:
    one = scored(HeadSpec())
    proof = proven(one)
    with np.load(io.BytesIO(proof.smoke_test), allow_pickle=False) as stored:
        outputs = {name for name in stored if name.startswith("output/")}
    assert outputs == {"output/probabilities", "output/none_of_these"}
    assert proof.to_json()["none_of_these"] == one.score[1].to_json()

    loaded = [Fragment(fragment) for fragment in one.fragments]
    plain = prove(one.plain, loaded, one.head, one.samples.inputs, one.samples.labels)
    assert "none_of_these" not in plain.to_json()


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_fewer_bits_hardly_move_the_score(precision: Precision) -> None:
    one = scored(HeadSpec())
    lowered = lower(one.graph, precision, one.samples.inputs)
    check = check_lowered(one.graph, lowered, precision, one.samples, seed=0)
    graph = onnx.load_from_string(lowered.graph)

    assert check.passed
    assert check.none_of_these_moved is not None
    assert check.none_of_these_moved < 0.02
    own = [w for w in graph.graph.initializer if w.name.startswith("head.none_of_these")]
    assert {w.data_type for w in own} == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    plain = lower(one.plain, precision, one.samples.inputs)
    told = check_lowered(one.plain, plain, precision, one.samples, seed=0)
    assert told.none_of_these_moved is None


def test_a_score_that_moves_too_far_in_fewer_bits_is_not_kept() -> None:
    one = scored(HeadSpec())
    proto = onnx.load_from_string(one.graph)
    [bias] = [w for w in proto.graph.initializer if w.name == "head.none_of_these.bias"]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(5), bias.name))
    lowered = lower(proto.SerializeToString(), Precision.FP16, one.samples.inputs)
    check = check_lowered(one.graph, lowered, Precision.FP16, one.samples, seed=0)

    assert not check.passed
    with pytest.raises(FusionError, match="none_of_these by"):
        check.require()
