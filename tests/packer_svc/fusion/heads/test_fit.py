import json
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pytest
import torch

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.columns import blocks
from packer_svc.fusion.heads.fit import fit_head
from packer_svc.fusion.heads.folds import stratified_folds
from packer_svc.fusion.heads.model import Head
from packer_svc.fusion.heads.spec import HeadInputs, HeadKind, HeadSpec
from tests.helpers.fragments import gaussian_features

KINDS = list(HeadKind)
QUICK = {"steps": 60}


def _probabilities(head: Head, features: list[FragmentFeatures]) -> npt.NDArray[np.float64]:
    result: npt.NDArray[np.float64] = head.torch().probabilities(features).numpy()
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("per_class", [1, 2, 5])
def test_a_head_learns_classes_from_few_samples(kind: HeadKind, per_class: int) -> None:
    features, labels = gaussian_features(3, 40, (30, 12))
    shown = np.flatnonzero(np.arange(len(labels)) % 40 < per_class)
    held = np.setdiff1d(np.arange(len(labels)), shown)
    head, report = fit_head(
        [part.rows(shown) for part in features], labels[shown], 3, HeadSpec(kind=kind, **QUICK)
    )
    named = _probabilities(head, [part.rows(held) for part in features]).argmax(axis=1)
    assert (named == labels[held]).mean() > 0.8
    assert report.in_sample_accuracy > 0.9
    assert report.samples_per_class == (per_class,) * 3


@pytest.mark.parametrize("kind", KINDS)
def test_one_layer_on_raw_columns_equals_the_head_in_parts(kind: HeadKind) -> None:
    features, labels = gaussian_features(3, 6, (20, 9))
    features[0].features[:, 3] = 5.0
    head, _ = fit_head(features, labels, 3, HeadSpec(kind=kind, encoder_width=7, **QUICK))
    layer = head.folded()
    logits = np.concatenate(blocks(features, head.inputs), axis=1) @ layer.weight + layer.bias
    folded = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    np.testing.assert_allclose(folded, _probabilities(head, features), atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_spec_gives_the_same_head_to_the_last_bit(kind: HeadKind) -> None:
    features, labels = gaussian_features(4, 5, (10, 6))
    spec = HeadSpec(kind=kind, seed=3, **QUICK)
    (first, report), (second, again) = (fit_head(features, labels, 4, spec) for _ in range(2))
    assert np.array_equal(first.folded().weight, second.folded().weight)
    assert np.array_equal(first.folded().bias, second.folded().bias)
    assert report == again


@pytest.mark.parametrize("kind", KINDS)
def test_a_class_of_one_sample_leaves_nothing_to_cross_validate(kind: HeadKind) -> None:
    features, labels = gaussian_features(3, 4, (8,))
    kept = np.flatnonzero((labels != 2) | (np.arange(len(labels)) == 8))
    thinned = [part.rows(kept) for part in features]
    head, report = fit_head(thinned, labels[kept], 3, HeadSpec(kind=kind, **QUICK))
    assert report.cross_validation is None
    assert report.candidates == ()
    assert np.isfinite(head.folded().weight).all()


@pytest.mark.parametrize("kind", KINDS)
def test_cross_validation_of_pure_noise_is_near_chance_though_the_fit_is_perfect(
    kind: HeadKind,
) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(2), 20)
    noise = [
        FragmentFeatures(
            generator.standard_normal((40, 60)).astype(np.float32),
            generator.standard_normal((40, 3)).astype(np.float32),
        )
    ]
    _, report = fit_head(noise, labels, 2, HeadSpec(kind=kind, **QUICK))
    assert report.in_sample_accuracy > 0.8
    assert report.cross_validation is not None
    assert report.cross_validation.accuracy < 0.75
    assert report.cross_validation.folds == 5


def test_scores_alone_are_read_where_features_are_noise() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 10)
    noise = (30.0 * generator.standard_normal((30, 200))).astype(np.float32)
    scores = (2.5 * np.eye(3)[labels] + generator.standard_normal((30, 3))).astype(np.float32)
    _, report = fit_head([FragmentFeatures(noise, scores)], labels, 3, HeadSpec())
    assert report.inputs is HeadInputs.SCORES
    assert {candidate.inputs for candidate in report.candidates} == set(HeadInputs)


def test_probabilities_are_no_surer_than_the_samples_allow() -> None:
    features, labels = gaussian_features(3, 60, (25,), seed=4)
    shown = np.flatnonzero(np.arange(len(labels)) % 60 < 10)
    held = np.setdiff1d(np.arange(len(labels)), shown)
    head, _ = fit_head([part.rows(shown) for part in features], labels[shown], 3, HeadSpec())
    answers = _probabilities(head, [part.rows(held) for part in features])
    loss = -np.log(answers[np.arange(len(held)), labels[held]]).mean()
    assert loss < 0.5 * np.log(3)
    right = (answers.argmax(axis=1) == labels[held]).mean()
    assert abs(answers.max(axis=1).mean() - right) < 0.1


def test_an_encoder_stays_apart_only_where_that_is_smaller() -> None:
    features, labels = gaussian_features(6, 5, (30,))
    narrow, _ = fit_head(features, labels, 6, HeadSpec(encoder_width=2))
    wide, _ = fit_head(features, labels, 6, HeadSpec(encoder_width=9))
    assert [layer.weight.shape[1] for layer in narrow.layers()] == [2, 6]
    assert [layer.weight.shape[1] for layer in wide.layers()] == [6]


def test_decoders_of_the_paper_learn_their_own_fragment_on_their_own_class() -> None:
    features, labels = gaussian_features(2, 10, (6, 6))
    spec = HeadSpec(kind=HeadKind.PAPER, delta=30.0, encoder_width=12, steps=400)
    head, _ = fit_head(features, labels, 2, spec, serves=[[0], [1]])
    assert head.encoder is not None
    columns = head.standardisation.apply(np.concatenate(blocks(features, head.inputs), axis=1))
    code = columns @ head.encoder.weight + head.encoder.bias
    first = code @ head.decoders[0].weight + head.decoders[0].bias
    error = ((first - columns[:, :6]) ** 2).mean(axis=1)
    assert error[labels == 0].mean() < 0.1 * error[labels == 1].mean()


def test_full_originals_of_any_number_take_the_same_head() -> None:
    features, labels = gaussian_features(5, 6, (16, 8))
    for kind in KINDS:
        head, report = fit_head(features, labels, 5, HeadSpec(kind=kind, **QUICK))
        assert head.classes == 5
        assert report.in_sample_accuracy > 0.8


def test_constant_outputs_of_all_fragments_give_equal_probabilities() -> None:
    labels = np.repeat(np.arange(3), 4)
    dull = [FragmentFeatures(np.ones((12, 5), np.float32), np.zeros((12, 3), np.float32))]
    for kind in KINDS:
        head, report = fit_head(dull, labels, 3, HeadSpec(kind=kind, **QUICK))
        assert report.constant_columns == (8 if kind is HeadKind.CLOSED_FORM else 5)
        answers = _probabilities(head, dull)
        assert np.allclose(answers, answers[0])


def test_a_report_is_plain_json() -> None:
    features, labels = gaussian_features(3, 4, (8,))
    _, report = fit_head(features, labels, 3, HeadSpec())
    restored = json.loads(json.dumps(asdict(report)))
    assert restored["kind"] == "closed_form"
    assert restored["cross_validation"]["folds"] == 4


@pytest.mark.parametrize("seed", [0, 1])
def test_folds_hold_each_class_evenly(seed: int) -> None:
    labels = np.array([0] * 7 + [1] * 5 + [2] * 11)
    assigned = stratified_folds(labels, 5, seed)
    for label in range(3):
        counts = np.bincount(assigned[labels == label], minlength=5)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize(
    "broken",
    [
        {"encoder_width": 0},
        {"delta": -1.0},
        {"delta": float("nan")},
        {"steps": -1},
        {"learning_rate": 0.0},
        {"seed": -1},
    ],
)
def test_a_spec_out_of_range_is_refused_by_name(broken: dict[str, float]) -> None:
    with pytest.raises(FusionError) as caught:
        HeadSpec(**broken)  # type: ignore[arg-type]
    assert caught.value.reason is FusionReason.FIELD_INVALID
    assert caught.value.metadata["field"] == next(iter(broken))


def test_inputs_that_cannot_be_fitted_are_refused_with_a_reason() -> None:
    features, labels = gaussian_features(3, 4, (8,))
    torn = [FragmentFeatures(features[0].features[:5], features[0].scores)]
    blown = [FragmentFeatures(np.full((12, 8), np.nan, np.float32), features[0].scores)]
    cases = [
        ([], labels, 3, FusionReason.FRAGMENTS_DUPLICATE),
        (features, labels, 1, FusionReason.FIELD_INVALID),
        (features, labels, 4, FusionReason.SAMPLES_CLASS_MISSING),
        (features, labels, 2, FusionReason.SAMPLES_CLASS_MISSING),
        (features, labels - 1, 3, FusionReason.SAMPLES_CLASS_MISSING),
        (torn, labels, 3, FusionReason.SAMPLES_MISMATCH),
        (blown, labels, 3, FusionReason.GRAPH_NOT_FINITE),
    ]
    for given, named, classes, reason in cases:
        with pytest.raises(FusionError) as caught:
            fit_head(given, named, classes, HeadSpec())
        assert caught.value.reason is reason
        assert caught.value.advice


def test_classes_without_samples_are_named_and_not_counted() -> None:
    features, labels = gaussian_features(3, 4, (8,))
    for given, classes, told in (
        (labels, 5, "class 3 has no sample, class 4 has no sample"),
        (labels, 2, "there is no class 2"),
    ):
        with pytest.raises(FusionError) as caught:
            fit_head(features, given, classes, HeadSpec())
        assert told in caught.value.message
