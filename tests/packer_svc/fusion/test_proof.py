import io
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxgraph.agreement import Tolerance, parity_of
from onnxgraph.parity import run_onnx
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import Fragment
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.model import Head, HeadReport
from packer_svc.fusion.heads.spec import HeadKind, HeadSpec
from packer_svc.fusion.manifest import Part, build_manifest
from packer_svc.fusion.pack import build_pack
from packer_svc.fusion.probes import Inputs, probes
from packer_svc.fusion.proof import Leg, ModelSize, Proof, digest_of
from packer_svc.fusion.prove import ProofContext, model_size, prove
from svckit.input_spec import Image, InputSpec
from tests.helpers.fragments import CONVOLUTION, DENSE, POINTWISE, Case, case

LABELS = ("zero", "three", "six")


def _pack(
    spec: HeadSpec, *, per_class: int = 6, noise: float = 0.5
) -> tuple[Case, Head, HeadReport, bytes]:
    shown = case(CONVOLUTION, DENSE, POINTWISE, per_class=per_class, noise=noise)
    head, report = fit_head(shown.features, shown.labels, 3, spec)
    return shown, head, report, build_pack(shown.fragments, head, LABELS)


@pytest.mark.parametrize("kind", list(HeadKind))
@pytest.mark.parametrize("per_class", [1, 6, 40])
def test_a_pack_that_computes_its_parts_passes(kind: HeadKind, per_class: int) -> None:
    shown, head, report, pack = _pack(HeadSpec(kind=kind, steps=30), per_class=per_class)
    proof = prove(
        pack, loaded(shown), head, shown.inputs, shown.labels, ProofContext(report=report)
    )
    assert proof.passed
    kinds = ("samples", "random", "extreme")
    assert {(c.leg, c.inputs, c.batch) for c in proof.cases} == {
        (Leg.OPTIMISED, "samples", 64),
        *((Leg.OPTIMISED, inputs, batch) for inputs in kinds for batch in (1, 2, 7)),
        *((Leg.PLAIN, inputs, 7) for inputs in kinds),
    }
    assert all(case.rows >= case.batch for case in proof.cases)
    assert proof.max_abs <= 1e-4
    assert proof.in_sample_accuracy == report.in_sample_accuracy
    assert proof.cross_validation == report.cross_validation


def loaded(shown: Case) -> list[Fragment]:
    return [Fragment(graph) for graph in shown.fragments]


def _altered(pack: bytes, factor: float) -> bytes:
    proto = onnx.load_from_string(pack)
    weight = next(w for w in proto.graph.initializer if w.name.startswith("fragment1"))
    array = numpy_helper.to_array(weight).copy()
    array[tuple(0 for _ in array.shape)] += factor * np.abs(array).max()
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    return bytes(proto.SerializeToString())


def test_a_pack_with_one_altered_weight_fails_and_may_not_be_kept() -> None:
    shown, head, _, pack = _pack(HeadSpec(), noise=2.0)
    proof = prove(_altered(pack, 3.0), loaded(shown), head, shown.inputs, shown.labels)
    assert not proof.passed
    with pytest.raises(FusionError) as caught:
        proof.require()
    assert caught.value.reason is FusionReason.PROOF_FAILED
    assert float(caught.value.metadata["max_abs"]) > 1e-4


def test_a_pack_with_outputs_in_another_order_fails() -> None:
    shown, head, _, _ = _pack(HeadSpec())
    turned = replace(
        head,
        classifier=replace(
            head.classifier,
            weight=head.classifier.weight[:, ::-1],
            bias=head.classifier.bias[::-1],
        ),
    )
    pack = build_pack(shown.fragments, turned, LABELS)
    proof = prove(pack, loaded(shown), head, shown.inputs, shown.labels)
    assert not proof.passed
    assert proof.top1 < 1.0


def test_cached_features_that_are_not_the_fragments_fail() -> None:
    shown, head, _, pack = _pack(HeadSpec(), noise=2.0)
    stale = [part.rows(np.roll(np.arange(len(shown.labels)), 5)) for part in shown.features]
    proof = prove(
        pack, loaded(shown), head, shown.inputs, shown.labels, ProofContext(features=stale)
    )
    assert not proof.passed


def test_a_close_call_between_two_classes_is_no_failure_but_a_clear_one_is() -> None:
    expected = np.array([[0.50001, 0.49999], [0.9, 0.1]])
    close = parity_of(expected[:, ::-1] * [[1], [0]] + expected * [[0], [1]], expected, Tolerance())
    assert close.passed
    assert close.top1 == 0.5
    assert not parity_of(expected[:, ::-1], expected, Tolerance()).passed
    assert not parity_of(np.full((2, 2), np.nan), expected, Tolerance()).passed


def test_tolerance_is_held_for_every_probability_and_not_for_the_largest_alone() -> None:
    expected = np.array([[0.999, 0.001]])
    off = np.array([[0.9985, 0.0015]])
    assert not parity_of(off, expected, Tolerance(atol=1e-4, rtol=1e-3)).passed


def test_the_live_leg_holds_inputs_of_every_kind_and_the_references_answers() -> None:
    shown, head, _, pack = _pack(HeadSpec())
    proof = prove(pack, loaded(shown), head, shown.inputs, shown.labels)
    with np.load(io.BytesIO(proof.smoke_test), allow_pickle=False) as archive:
        stored = dict(archive)
    assert set(stored) == {"input/image", "output/probabilities", "kind", "tolerance"}
    assert Counter(stored["kind"].tolist()) == {"samples": 8, "random": 7, "extreme": 8}
    assert Tolerance(*stored["tolerance"]) == Tolerance()
    found = run_onnx(pack, {"image": stored["input/image"]})["probabilities"]
    expected = stored["output/probabilities"]
    assert expected.dtype == np.float64
    assert not np.array_equal(found, expected), "a float32 pack does not compute in float64"
    assert parity_of(found, expected, Tolerance()).passed
    assert set(expected[stored["kind"] == "samples"].argmax(axis=1)) == {0, 1, 2}


def _proof() -> tuple[Proof, HeadReport, bytes]:
    shown, head, report, pack = _pack(HeadSpec())
    context = ProofContext(report=report, ensemble=ModelSize(9000, 90000, 36000))
    return prove(pack, loaded(shown), head, shown.inputs, shown.labels, context), report, pack


def test_a_proof_is_plain_json_and_the_same_every_time() -> None:
    (first, _, pack), (second, _, _) = _proof(), _proof()
    assert first == second
    restored = json.loads(json.dumps(first.to_json()))
    assert restored["passed"] is True
    assert restored["size"]["bytes"] == len(pack)
    assert restored["ensemble"]["parameters"] == 9000
    assert restored["smoke_test"] == digest_of(first.smoke_test)
    assert restored["pack_digest"] == digest_of(pack)


def test_a_packs_size_counts_fragments_and_head_together() -> None:
    proof, _, pack = _proof()
    counted = sum(
        int(np.prod(weight.dims)) for weight in onnx.load_from_string(pack).graph.initializer
    )
    assert proof.size == model_size(pack)
    assert 0 < proof.size.parameters <= counted
    assert proof.size.macs > proof.size.parameters


def test_a_manifest_names_every_part_with_its_digest() -> None:
    proof, report, pack = _proof()
    parts = [
        Part(f"models/m{i}/fragments/{i}", label, f"sha256:{i:064x}", f"sha256:{i + 9:064x}", "MIT")
        for i, label in enumerate(LABELS)
    ]
    inputs = [InputSpec("image", (2, 6, 6), "float32", Image(False, 0.0, 1.0))]
    manifest = build_manifest(parts, LABELS, inputs, (HeadSpec(), report), proof)
    restored = json.loads(json.dumps(manifest))
    assert restored["classes"] == list(LABELS)
    assert [part["graph_digest"] for part in restored["fragments"]] == [
        part.graph_digest for part in parts
    ]
    assert restored["graph"]["digest"] == digest_of(pack)
    assert restored["graph"]["parameters"] == proof.size.parameters
    assert restored["head"]["spec"]["kind"] == "closed_form"
    assert restored["versions"]["onnxruntime"]


def test_probes_stay_within_a_vocabulary_and_go_beyond_a_pictures_range() -> None:
    samples: Inputs = {
        "tokens": np.array([[1, 5], [2, 9]], dtype=np.int64),
        "image": np.array([[0.0], [1.0]], dtype=np.float32),
    }
    found = {probe.name: probe.inputs for probe in probes(samples, seed=0)}
    for name in ("random", "extreme"):
        assert found[name]["tokens"].dtype == np.int64
        assert found[name]["tokens"].min() >= 1
        assert found[name]["tokens"].max() <= 9
    assert found["extreme"]["image"].max() > 5.0
    assert found["extreme"]["image"].min() < -5.0
    assert len(found["extreme"]["tokens"]) == len(found["extreme"]["image"])
