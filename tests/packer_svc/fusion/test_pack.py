import json

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from onnxgraph.cost import cost
from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import from_trusted_bytes
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.heads.columns import Standardisation
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.model import Head, Linear
from packer_svc.fusion.heads.spec import HeadInputs, HeadKind, HeadSpec
from packer_svc.fusion.pack import LABELS_KEY, build_pack
from tests.helpers.fragments import CONVOLUTION, DENSE, POINTWISE, Case, case, fragment

LABELS = ("zero", "three", "six")


def _answers(pack: bytes, shown: Case) -> npt.NDArray[np.float64]:
    return run_onnx(pack, shown.inputs)["probabilities"].astype(np.float64)


def _head_on(shown: Case, inputs: HeadInputs, *, classes: int = 3) -> Head:
    """A head with drawn weights that reads the given outputs."""
    generator = np.random.default_rng(7)
    widths = tuple((part.features.shape[1], part.scores.shape[1]) for part in shown.features)
    picked = {
        HeadInputs.FEATURES: [f for f, _ in widths],
        HeadInputs.SCORES: [s for _, s in widths],
        HeadInputs.BOTH: [f + s for f, s in widths],
    }
    columns = sum(picked[inputs])
    standardisation = Standardisation(
        generator.standard_normal(columns), 0.2 * generator.random(columns) + 0.01
    )
    classifier = Linear(0.1 * generator.standard_normal((columns, classes)), np.zeros(classes))
    return Head(HeadKind.CLOSED_FORM, inputs, widths, standardisation, None, classifier)


@pytest.mark.parametrize("inputs", list(HeadInputs))
def test_a_pack_computes_head_on_fragments_whatever_the_head_reads(inputs: HeadInputs) -> None:
    shown = case(CONVOLUTION, DENSE, POINTWISE)
    head = _head_on(shown, inputs)
    answers = _answers(build_pack(shown.fragments, head, LABELS), shown)
    expected = head.torch().probabilities(shown.features).numpy()
    assert expected.std(axis=0).max() > 0.05
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_a_pack_is_one_checked_graph_with_a_free_batch_and_its_labels() -> None:
    shown = case(CONVOLUTION, DENSE)
    head, _ = fit_head(shown.features, shown.labels, 3, HeadSpec())
    pack = build_pack(shown.fragments, head, LABELS)
    proto = onnx.load_from_string(pack)
    onnx.checker.check_model(proto, full_check=True)
    ends = [*proto.graph.input, *proto.graph.output]
    assert [end.name for end in ends] == ["image", "probabilities"]
    assert all(end.type.tensor_type.shape.dim[0].dim_param for end in ends)
    assert proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 3
    assert proto.opset_import[0].version == 17
    assert {entry.key: json.loads(entry.value) for entry in proto.metadata_props} == {
        LABELS_KEY: list(LABELS)
    }
    assert build_pack(shown.fragments, head, LABELS) == pack


def test_class_scores_cost_nothing_beside_features() -> None:
    shown = case(CONVOLUTION, DENSE)
    sizes = {
        inputs: cost(
            from_trusted_bytes(build_pack(shown.fragments, _head_on(shown, inputs), LABELS))
        )
        for inputs in HeadInputs
    }
    assert sizes[HeadInputs.BOTH].parameters == sizes[HeadInputs.FEATURES].parameters
    assert sizes[HeadInputs.BOTH].macs == sizes[HeadInputs.FEATURES].macs


def test_class_scores_alone_keep_a_classifier_that_is_smaller_than_a_head_on_features() -> None:
    shown = case(CONVOLUTION, classes=8, per_class=2)
    head = _head_on(shown, HeadInputs.SCORES, classes=8)
    pack = build_pack(shown.fragments, head, [str(i) for i in range(8)])
    shapes = {tuple(w.dims) for w in onnx.load_from_string(pack).graph.initializer}
    assert (3, 8) in shapes
    assert (108, 8) not in shapes
    answers = _answers(pack, shown)
    expected = head.torch().probabilities(shown.features).numpy()
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_a_narrow_encoder_stays_a_layer_of_its_own() -> None:
    shown = case(CONVOLUTION, DENSE, classes=6)
    labels = [str(i) for i in range(6)]
    head, _ = fit_head(shown.features, shown.labels, 6, HeadSpec(encoder_width=2))
    pack = build_pack(shown.fragments, head, labels)
    assert sum(node.op_type == "Gemm" for node in onnx.load_from_string(pack).graph.node) == 2
    answers = _answers(pack, shown)
    expected = head.torch().probabilities(shown.features).numpy()
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_the_same_fragment_may_stand_twice() -> None:
    shown = case(CONVOLUTION)
    twice = Case(shown.fragments * 2, shown.inputs, shown.labels, shown.features * 2)
    head, _ = fit_head(twice.features, twice.labels, 3, HeadSpec())
    answers = _answers(build_pack(twice.fragments, head, LABELS), twice)
    expected = head.torch().probabilities(twice.features).numpy()
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_fragments_with_other_inputs_are_refused() -> None:
    shown = case(CONVOLUTION, DENSE)
    head, _ = fit_head(shown.features, shown.labels, 3, HeadSpec())
    larger = fragment(DENSE.replace("2, 6, 6", "2, 4, 9"))
    with pytest.raises(GraphError) as caught:
        build_pack([shown.fragments[0], larger], head, LABELS)
    assert caught.value.reason is GraphReason.GRAPHS_INCOMPATIBLE


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (("a", "b", "a"), FusionReason.FRAGMENTS_DUPLICATE),
        (("a", "b"), FusionReason.FIELD_INVALID),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: tuple[str, ...], reason: FusionReason) -> None:
    shown = case(CONVOLUTION, DENSE)
    head, _ = fit_head(shown.features, shown.labels, 3, HeadSpec())
    with pytest.raises(FusionError) as caught:
        build_pack(shown.fragments, head, labels)
    assert caught.value.reason is reason


def test_fragments_in_another_order_than_the_heads_are_refused() -> None:
    shown = case(CONVOLUTION, DENSE)
    head, _ = fit_head(shown.features, shown.labels, 3, HeadSpec())
    with pytest.raises(FusionError) as caught:
        build_pack(shown.fragments[::-1], head, LABELS)
    assert caught.value.reason is FusionReason.FIELD_INVALID
