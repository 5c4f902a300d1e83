import numpy as np
import pytest

from onnxgraph.parity import run_onnx
from onnxgraph.serialise import to_bytes
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.samples import Samples
from slicer_svc.slicing.submission import (
    chance_level,
    check_above_chance,
    check_sample_labels,
    check_submission,
)
from tests.helpers.small_classifiers import CHAIN, images, model_of, rescaled

LABELS = ("cat", "dog", "bird")
LINEAR = """
linear (float[batch, 4] x) => (float[batch, 3] scores)
  <float[3, 4] w0, float[3] b0>
{
  scores = Gemm <transB = 1> (x, w0, b0)
}
"""


def labelled_by_the_model(count: int) -> Samples:
    """Samples that get their own highest score as their label, all classes present."""
    model = model_of(CHAIN)
    x = np.random.default_rng(0).normal(size=(40 * count, 1, 8, 8)).astype(np.float32)
    scores = run_onnx(to_bytes(model), {"x": x})["scores"]
    labels = (scores - scores.mean(axis=0)).argmax(axis=1)
    right = np.flatnonzero(labels == scores.argmax(axis=1))
    chosen = np.concatenate([right[labels[right] == label][:count] for label in range(3)])
    return Samples({"x": x[chosen]}, labels[chosen].astype(np.int64))


def test_a_model_that_fits_its_samples_passes_with_its_figures() -> None:
    found = check_submission(model_of(CHAIN), labelled_by_the_model(5), LABELS)
    assert found.accuracy == 1.0
    assert found.p_value < 0.01
    assert (found.feature_width, found.groups) == (10, 3)


def test_a_model_at_chance_is_refused_with_the_figures() -> None:
    samples = labelled_by_the_model(5)
    shuffled = Samples(samples.inputs, np.roll(samples.labels, 4))
    with pytest.raises(SlicingError) as caught:
        check_submission(model_of(CHAIN), shuffled, LABELS)
    assert caught.value.reason is SlicingReason.MODEL_AT_CHANCE
    assert "of 15 samples are right" in caught.value.message
    assert "p = " in caught.value.message
    assert caught.value.metadata["samples"] == "15"


def test_an_output_that_does_not_fit_the_labels_is_refused() -> None:
    with pytest.raises(SlicingError) as caught:
        check_submission(model_of(CHAIN), images(2), [*LABELS, "fish"])
    assert caught.value.reason is SlicingReason.LABELS_MISMATCH


def test_a_class_without_a_sample_is_refused_by_name() -> None:
    samples = images(3)
    with pytest.raises(SlicingError) as caught:
        check_submission(model_of(CHAIN), samples.take(np.flatnonzero(samples.labels != 2)), LABELS)
    assert caught.value.reason is SlicingReason.SAMPLES_CLASS_MISSING
    assert caught.value.metadata == {"label": "bird", "classes": "2"}
    assert "1 of 3 classes are without a sample: 'bird'" in caught.value.message


def test_of_many_classes_without_a_sample_the_first_are_named() -> None:
    labels = [f"kind-{place}" for place in range(200)]
    samples = Samples({"x": np.zeros((1, 1))}, np.zeros(1, np.int64))
    with pytest.raises(SlicingError) as caught:
        check_sample_labels(samples, labels)
    assert "199 of 200 classes" in caught.value.message
    assert "'kind-5' (class 5) and others" in caught.value.message
    assert "kind-6" not in caught.value.message


def test_a_sample_of_an_unknown_class_is_refused() -> None:
    samples = images(3)
    with pytest.raises(SlicingError) as caught:
        check_submission(model_of(CHAIN), Samples(samples.inputs, samples.labels + 1), LABELS)
    assert caught.value.reason is SlicingReason.SAMPLES_MISMATCH


def test_a_model_that_overflows_on_its_samples_is_refused() -> None:
    model = rescaled(model_of(CHAIN), w0=1e20, w2=1e20)
    with pytest.raises(SlicingError) as caught:
        check_submission(model, labelled_by_the_model(5), LABELS)
    assert caught.value.reason is SlicingReason.GRAPH_NOT_FINITE


def test_a_model_without_a_hidden_layer_is_refused() -> None:
    x = np.zeros((3, 4), dtype=np.float32)
    with pytest.raises(SlicingError) as caught:
        check_submission(model_of(LINEAR), Samples({"x": x}, np.arange(3, dtype=np.int64)), LABELS)
    assert caught.value.reason is SlicingReason.GRAPH_NO_SLICEABLE_UNIT


def test_a_model_whose_units_are_all_normalised_is_refused_by_the_first_nodes_in_the_way() -> None:
    hidden = " ".join(
        f"m{i} = Gemm (f{i}, w{i}) f{i + 1} = LpNormalization (m{i})" for i in range(7)
    )
    weights = ", ".join(f"float[4, 4] w{i}" for i in range(7))
    text = f"""deep (float[batch, 4] x) => (float[batch, 3] scores) <{weights}, float[4, 3] w>
        {{ f0 = Relu (x) {hidden} scores = MatMul (f7, w) }}"""
    x = np.zeros((3, 4), dtype=np.float32)
    with pytest.raises(SlicingError) as caught:
        check_submission(model_of(text), Samples({"x": x}, np.arange(3, dtype=np.int64)), LABELS)
    assert caught.value.reason is SlicingReason.GRAPH_NO_SLICEABLE_UNIT
    assert "LpNormalization 'f1' normalises over units" in caught.value.message
    assert caught.value.message.endswith("; and 3 more")
    assert "normalises" in caught.value.advice


def test_a_guesser_who_names_the_largest_class_is_at_chance() -> None:
    labels = np.array([0] * 18 + [1, 2], dtype=np.int64)
    chance = chance_level(Samples({"x": np.zeros((20, 1))}, labels), 3)
    assert chance == pytest.approx(0.9)
    with pytest.raises(SlicingError):
        check_above_chance(18, 20, chance)


@pytest.mark.parametrize(("correct", "total", "passes"), [(9, 10, True), (8, 10, True)])
def test_the_test_is_the_binomial_one(correct: int, total: int, passes: bool) -> None:
    p_value = check_above_chance(correct, total, 1 / 3)
    assert (p_value < 0.01) is passes
    assert p_value == pytest.approx({9: 0.000356, 8: 0.00340}[correct], rel=0.01)


def test_three_right_answers_out_of_three_are_no_proof() -> None:
    with pytest.raises(SlicingError) as caught:
        check_above_chance(3, 3, 1 / 3)
    assert caught.value.metadata["p_value"] == "0.037037"
