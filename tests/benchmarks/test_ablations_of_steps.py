from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.ablations.counts import Budget, kept_counts
from benchmarks.ablations.fitting import (
    fitting_weights,
    mixed_pictures,
)
from benchmarks.ablations.laboratory import thinned
from benchmarks.ablations.low_rank import factorised
from benchmarks.ablations.sweeps import slice_symmetric, swept_again
from benchmarks.ablations.variant import Variant
from onnxgraph.cost import cost
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import to_bytes
from onnxgraph.view import TorchView
from slicer_svc.slicing.adaptations.refit import RIDGE, Refit
from slicer_svc.slicing.closed_form import slice_closed_form
from slicer_svc.slicing.measures import RelativeError
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.original import Original
from slicer_svc.slicing.plan import Curve
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.samples import UNLABELLED, Samples, balanced_weights
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.walk import minibatches
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of


def seen(network: Network, samples: Samples) -> Original:
    batches = minibatches(samples, balanced_weights(samples.labels))
    return Original.of(network, TorchView(network.model), batches, lambda _: None)


def first_units(network: Network, counts: Mapping[int, int]) -> dict[str, Units]:
    """The first units of some groups, by their place; all of the others."""
    return {
        group.id: np.arange(counts.get(place, group.units), dtype=np.int64)
        for place, group in enumerate(network.groups)
    }


def scores(model: ir.Model, inputs: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    return np.asarray(run_onnx(to_bytes(model), inputs)["scores"], dtype=np.float64)


def score_error(network: Network, other: Sliced, samples: Samples) -> float:
    error = RelativeError()
    inputs = {"x": torch.from_numpy(np.array(samples.inputs["x"]))}
    before = TorchView(network.model).run(inputs, fetch=["scores"])["scores"].detach()
    after = TorchView(other.model).run(inputs, fetch=["scores"])["scores"].detach()
    weights = torch.from_numpy(balanced_weights(samples.labels))
    error.add(after, before, weights)
    return error.share


def test_with_a_single_cut_layer_a_symmetric_slice_is_the_library_s() -> None:
    network, samples = Network.of(model_of(CHAIN)), images(10)
    original, weights = seen(network, samples), balanced_weights(samples.labels)
    kept = first_units(network, {2: 4})
    ours = slice_symmetric(original, weights, kept, Refit())
    theirs = slice_closed_form(original, weights, kept, Refit(), lambda _: None)
    inputs = {"x": np.asarray(samples.inputs["x"], dtype=np.float32)}
    one, other = (scores(found.model, inputs) for found in (ours, theirs))
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


def test_a_symmetric_slice_does_not_make_up_for_errors_in_front_of_it() -> None:
    network, samples = Network.of(model_of(CHAIN)), images(20)
    original, weights = seen(network, samples), balanced_weights(samples.labels)
    kept = first_units(network, {0: 2, 1: 3, 2: 4})
    symmetric = slice_symmetric(original, weights, kept, Refit())
    asymmetric = slice_closed_form(original, weights, kept, Refit(), lambda _: None)
    assert score_error(network, asymmetric, samples) < score_error(network, symmetric, samples)


def test_a_second_sweep_fits_what_the_first_one_s_ridge_left() -> None:
    network, samples = Network.of(model_of(CHAIN)), images(10)
    original, weights = seen(network, samples), balanced_weights(samples.labels)
    first = slice_closed_form(
        original, weights, first_units(network, {2: 4}), Refit(), lambda _: None
    )
    second = swept_again(original, weights, first, RIDGE)
    assert score_error(network, second, samples) < score_error(network, first, samples)
    assert cost(second.model).parameters == cost(first.model).parameters


def test_kernels_of_low_rank_are_factorised_exactly_and_cost_less() -> None:
    random = np.random.default_rng(0)
    narrow, wide = random.normal(size=(3, 9)), random.normal(size=(6, 54))
    first = random.normal(size=(6, 3)) @ narrow / 3
    second = random.normal(size=(8, 6)) @ wide / 18
    model = model_of(
        CHAIN,
        w0=first.reshape(6, 1, 3, 3).astype(np.float32),
        w1=second.reshape(8, 6, 3, 3).astype(np.float32),
    )
    samples = images(10)
    batches = minibatches(samples, balanced_weights(samples.labels))
    small = factorised(model, batches, 0.9)
    inputs = {"x": np.asarray(images(4, seed=1).inputs["x"], dtype=np.float32)}
    before, after = (scores(one, inputs) for one in (model, small))
    np.testing.assert_allclose(after, before, atol=1e-4 * float(np.abs(before).max()))
    convolutions = [node for node in small.graph if node.op_type == "Conv"]
    assert len(convolutions) == 4
    assert cost(small).macs < 0.95 * cost(model).macs


def test_a_width_that_several_nodes_add_up_to_is_left_whole_where_asked() -> None:
    network = Network.of(model_of(RESIDUAL))
    curves = [
        Curve(group.id, group.units, tuple(range(1, group.units)), (0.01,) * (group.units - 1))
        for group in network.groups
    ]
    summed = next(group for group in network.groups if len(group.producers) > 1)
    budget = Budget("macs", 0.6)
    cut = kept_counts(network, curves, Variant(block=1), budget)
    whole = kept_counts(network, curves, Variant(block=1, residual_whole=True), budget)
    assert cut[summed.id] < summed.units == whole[summed.id]


def test_plans_of_factorised_kernels_may_keep_more_units() -> None:
    network = Network.of(model_of(CHAIN))
    curves = [
        Curve(group.id, group.units, tuple(range(1, group.units)), (0.01,) * (group.units - 1))
        for group in network.groups
    ]
    budget = Budget("params", 0.3)
    plain = kept_counts(network, curves, Variant(block=1), budget)
    factored = kept_counts(network, curves, Variant(block=1, rank_share=0.6), budget)
    assert sum(factored.values()) > sum(plain.values())


def test_fewer_positions_are_some_of_the_same_ones() -> None:
    network, samples = Network.of(model_of(CHAIN)), images(3)
    original = seen(network, samples)
    few = thinned(original, 4)
    site = network.sites[0]
    many, found = original.at(site)[0], few.at(site)[0]
    assert found.read_at.tolist() == sorted(set(found.read_at.tolist()))
    assert found.read.shape == (4 * len(samples), many.read.shape[1])
    places = [many.read_at.tolist().index(place) for place in found.read_at.tolist()]
    by_sample = many.read.reshape(len(samples), -1, many.read.shape[1])
    expected = by_sample[:, places].reshape(found.read.shape)
    torch.testing.assert_close(found.read, expected)


def test_pictures_without_a_label_share_the_weight_they_are_given() -> None:
    labels = np.array([0, 0, 1, 2, UNLABELLED, UNLABELLED])
    weights = fitting_weights(labels, 0, 0.3)
    assert weights.sum() == pytest.approx(1.0)
    assert weights[4:] == pytest.approx(0.15)
    assert weights[:2].sum() == pytest.approx(0.7 * 2 / 3)
    assert fitting_weights(labels[:4], None, 0.3).sum() == pytest.approx(1.0)


def test_mixed_pictures_are_made_of_two_samples() -> None:
    dark, light = np.zeros((5, 3, 8, 8), np.float32), np.ones((5, 3, 8, 8), np.float32)
    samples = Samples({"image": np.concatenate([dark, light])}, np.arange(10))
    mixed = mixed_pictures(samples, seed=3)
    assert mixed.shape == (40, 3, 8, 8)
    shares = mixed.mean(axis=(1, 2, 3))
    different = (shares > 0) & (shares < 1)
    assert different.sum() > 10
    assert np.all((shares[different] > 0.2) & (shares[different] < 0.8))
    np.testing.assert_array_equal(mixed, mixed_pictures(samples, seed=3))
