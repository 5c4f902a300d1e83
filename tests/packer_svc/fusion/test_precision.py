from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import onnx
import pytest

from onnxgraph.agreement import Tolerance, parity_of
from onnxgraph.parity import run_onnx
from packer_svc.fusion import quantise as quantising
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import Fragment
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.spec import HeadSpec
from packer_svc.fusion.pack import HEAD_PREFIX, LABELS_KEY, build_pack
from packer_svc.fusion.precision import Lowered, Precision, check_lowered, lower
from packer_svc.fusion.proof import digest_of
from packer_svc.fusion.prove import prove
from packer_svc.fusion.quantise import divergence, quantise
from packer_svc.fusion.samples import PackSamples, SampleBlock
from packer_svc.fusion.smoke_test import LOWERED
from tests.helpers.fragments import CONVOLUTION, DENSE, POINTWISE, Case, case

LABELS = ("zero", "three", "six")
NARROW = [Precision.FP16, Precision.BF16, Precision.INT8]


@pytest.fixture(scope="module")
def shown() -> Case:
    return case(CONVOLUTION, DENSE, POINTWISE, per_class=8)


@pytest.fixture(scope="module")
def pack(shown: Case) -> bytes:
    head, _ = fit_head(shown.features, shown.labels, 3, HeadSpec())
    return build_pack(shown.fragments, head, LABELS)


def _samples(shown: Case) -> PackSamples:
    blocks = [
        SampleBlock({"image": shown.inputs["image"][shown.labels == c]}, c, str(c))
        for c in range(3)
    ]
    return PackSamples.of(blocks)


@pytest.mark.parametrize("precision", NARROW)
def test_fewer_bits_answer_nearly_the_same_from_a_smaller_file(
    shown: Case, pack: bytes, precision: Precision
) -> None:
    lowered = lower(pack, precision, shown.inputs)
    expected = run_onnx(pack, shown.inputs)["probabilities"].astype(np.float64)
    answers = run_onnx(lowered.graph, shown.inputs)["probabilities"]
    assert answers.dtype == np.float32
    assert 0 < np.abs(answers.astype(np.float64) - expected).max() < 0.05
    proto = onnx.load_from_string(lowered.graph)
    onnx.checker.check_model(proto, full_check=True)
    labels = {entry.key: entry.value for entry in proto.metadata_props}[LABELS_KEY]
    assert json.loads(labels) == list(LABELS)
    assert lower(pack, precision, shown.inputs) == lowered


def test_the_head_stays_in_float(pack: bytes, shown: Case) -> None:
    for precision in NARROW:
        proto = onnx.load_from_string(lower(pack, precision, shown.inputs).graph)
        weights = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
        (gemm,) = [n for n in proto.graph.node if n.name == f"{HEAD_PREFIX}classifier"]
        assert weights[gemm.input[1]] == onnx.TensorProto.FLOAT


def test_float32_is_the_pack_itself(pack: bytes, shown: Case) -> None:
    assert lower(pack, Precision.FP32, shown.inputs) == Lowered(pack)


def test_the_noisiest_nodes_go_back_to_float_until_it_is_close(
    pack: bytes, shown: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = quantise(pack, shown.inputs)
    assert whole.kept_in_float == ()
    monkeypatch.setattr(quantising, "MOST_DIVERGENCE", 0.5 * whole.divergence)
    part = quantise(pack, shown.inputs)
    assert part.kept_in_float
    assert part.divergence <= 0.5 * whole.divergence
    monkeypatch.setattr(quantising, "MOST_DIVERGENCE", 0.0)
    with pytest.raises(FusionError) as refused:
        quantise(pack, shown.inputs)
    assert refused.value.reason is FusionReason.PRECISION_UNSUPPORTED


def test_a_pack_without_heavy_nodes_cannot_be_quantised(pack: bytes, shown: Case) -> None:
    proto = onnx.load_from_string(pack)
    for node in proto.graph.node:
        node.name = f"{HEAD_PREFIX}{node.name}"
    with pytest.raises(FusionError) as refused:
        quantise(proto.SerializeToString(), shown.inputs)
    assert refused.value.reason is FusionReason.PRECISION_UNSUPPORTED


def test_divergence_is_zero_of_equals_and_known_of_a_coin() -> None:
    coin = np.array([[0.5, 0.5]])
    assert divergence(coin, coin) == 0.0
    assert divergence(coin, np.array([[0.25, 0.75]])) == pytest.approx(0.5 * np.log(4 / 3))
    assert np.isfinite(divergence(coin, np.array([[1.0, 0.0]])))


@pytest.mark.parametrize("precision", NARROW)
def test_the_proof_says_what_fewer_bits_cost(
    shown: Case, pack: bytes, precision: Precision
) -> None:
    samples = _samples(shown)
    lowered = lower(pack, precision, shown.inputs)
    check = check_lowered(pack, lowered, precision, samples, seed=0)
    check.require()
    assert {part.inputs for part in check.cases} == {"samples", "random", "extreme"}
    head, _ = fit_head(shown.features, shown.labels, 3, HeadSpec())
    loaded = [Fragment(graph) for graph in shown.fragments]
    wide = prove(pack, loaded, head, shown.inputs, shown.labels)
    proof = wide.lowered(lowered.graph, check, samples.inputs)
    assert proof.passed
    assert proof.pack_digest == digest_of(lowered.graph)
    assert proof.size == replace(wide.size, bytes=len(lowered.graph))
    assert proof.in_sample_accuracy_fp32 == wide.in_sample_accuracy
    assert json.loads(json.dumps(proof.to_json()))["precision"]["precision"] == precision.value
    with np.load(io.BytesIO(proof.smoke_test), allow_pickle=False) as archive:
        stored = dict(archive)
    assert set(stored["kind"]) == {"samples", "random", "extreme"}
    assert Tolerance(*stored["tolerance"]) == LOWERED
    again = run_onnx(lowered.graph, {"image": stored["input/image"]})["probabilities"]
    assert parity_of(again, stored["output/probabilities"], Tolerance(1e-6, 0.0)).passed
    assert not parity_of(again[::-1], stored["output/probabilities"], LOWERED).passed


def test_eight_bits_leave_room_for_sums_of_two_products_in_sixteen(
    shown: Case, pack: bytes
) -> None:
    proto = onnx.load_from_string(lower(pack, Precision.INT8, shown.inputs).graph)
    integers = [
        onnx.numpy_helper.to_array(tensor).astype(np.int64)
        for tensor in proto.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and np.prod(tensor.dims) > 1
    ]
    assert integers
    assert max(np.abs(weight).max() for weight in integers) * 255 * 2 < 2**15


def test_a_pack_that_lost_its_classes_is_not_kept(shown: Case, pack: bytes) -> None:
    proto = onnx.load_from_string(pack)
    (gemm,) = [n for n in proto.graph.node if n.name == f"{HEAD_PREFIX}classifier"]
    (weight,) = [w for w in proto.graph.initializer if w.name == gemm.input[1]]
    turned = np.ascontiguousarray(onnx.numpy_helper.to_array(weight)[:, ::-1])
    weight.CopyFrom(onnx.numpy_helper.from_array(turned, weight.name))
    wrong = Lowered(proto.SerializeToString())
    check = check_lowered(pack, wrong, Precision.INT8, _samples(shown), seed=0)
    assert not check.passed
    with pytest.raises(FusionError) as refused:
        check.require()
    assert refused.value.reason is FusionReason.PROOF_FAILED
