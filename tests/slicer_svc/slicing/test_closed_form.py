from collections.abc import Mapping

import numpy as np
import pytest
import torch

from onnxgraph.parity import run_onnx
from onnxgraph.serialise import to_bytes
from onnxgraph.view import TorchView
from slicer_svc.slicing.adaptations.drop import Drop
from slicer_svc.slicing.adaptations.refit import Refit
from slicer_svc.slicing.adaptations.site import SiteAdaptation
from slicer_svc.slicing.closed_form import measure_grams, slice_closed_form
from slicer_svc.slicing.criteria.columns import targets_of
from slicer_svc.slicing.criteria.evidence import metrics_of
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.measures import RelativeError
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.original import Original
from slicer_svc.slicing.samples import Samples, balanced_weights
from slicer_svc.slicing.selection import kept_count
from slicer_svc.slicing.sliced import Sliced
from slicer_svc.slicing.subset import greedy_columns
from slicer_svc.slicing.walk import minibatches
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of, rescaled


def sliced(
    network: Network,
    samples: Samples,
    counts: Mapping[str, int],
    adaptation: SiteAdaptation | None = None,
) -> Sliced:
    weights = balanced_weights(samples.labels)
    view = TorchView(network.model)
    original = Original.of(network, view, minibatches(samples, weights), lambda _: None)
    grams = measure_grams(original, weights)
    kept = {
        group.id: np.sort(
            greedy_columns(targets_of(group, grams, metrics_of(network)), counts[group.id])
        )
        for group in network.groups
    }
    return slice_closed_form(original, weights, kept, adaptation or Refit(), lambda _: None)


def share_of(network: Network, share: float) -> dict[str, int]:
    return {group.id: kept_count(group.units, share) for group in network.groups}


def score_error(network: Network, other: Sliced, samples: Samples) -> float:
    error = RelativeError()
    inputs = {"x": torch.from_numpy(np.array(samples.inputs["x"]))}
    before = TorchView(network.model).run(inputs, fetch=["scores"])["scores"].detach()
    after = TorchView(other.model).run(inputs, fetch=["scores"])["scores"].detach()
    error.add(after, before, torch.ones(len(samples)))
    return error.share


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
def test_repaired_halves_do_far_better_than_bare_ones_on_samples_never_seen(text: str) -> None:
    network = Network.of(model_of(text))
    result = sliced(network, images(20), share_of(network, 0.5))
    dropped = sliced(network, images(20), share_of(network, 0.5), Drop())
    fresh = images(20, seed=1)
    assert score_error(network, result, fresh) < 0.2 * score_error(network, dropped, fresh)


def test_units_that_others_make_redundant_cost_nothing() -> None:
    random = np.random.default_rng(0)
    kernels = random.normal(size=(3, 1, 3, 3)).astype(np.float32)
    biases = random.normal(size=3).astype(np.float32)
    doubled = np.concatenate([kernels, 2.0 * kernels]).astype(np.float32)
    shifts = np.concatenate([biases, 2.0 * biases]).astype(np.float32)
    network = Network.of(model_of(CHAIN, w0=doubled, b0=shifts))
    counts = {group.id: group.units for group in network.groups}
    counts[network.groups[0].id] = 3
    result = sliced(network, images(10), counts)
    assert sorted(unit % 3 for unit in result.kept[network.groups[0].id]) == [0, 1, 2]
    assert score_error(network, result, images(10, seed=1)) < 1e-3


def test_keeping_everything_changes_nothing() -> None:
    network = Network.of(model_of(CHAIN))
    result = sliced(network, images(4), share_of(network, 1.0))
    x = images(4, seed=1).inputs["x"]
    ours, theirs = (run_onnx(to_bytes(m), {"x": x}) for m in (result.model, network.model))
    np.testing.assert_array_equal(ours["scores"], theirs["scores"])


def test_dead_layers_and_single_samples_give_finite_fragments() -> None:
    silent = np.full(6, -100.0, dtype=np.float32)
    for text, share in ((CHAIN, 0.5), (CHAIN, 1e-6), (RESIDUAL, 0.5)):
        network = Network.of(model_of(text, b0=silent))
        result = sliced(network, images(1, classes=1), share_of(network, share))
        scores = run_onnx(to_bytes(result.model), {"x": images(2).inputs["x"]})["scores"]
        assert np.isfinite(scores).all()


def test_a_coupled_width_is_repaired_at_each_of_its_consumers() -> None:
    network = Network.of(model_of(RESIDUAL))
    coupled = next(group for group in network.groups if group.coupled)
    assert len(coupled.consumers) == 2
    counts = {group.id: group.units for group in network.groups}
    counts[coupled.id] = 5
    result = sliced(network, images(20), counts)
    assert score_error(network, result, images(20, seed=1)) < 0.05


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1e15, 1e30])
def test_the_size_of_hidden_values_does_not_matter(size: float) -> None:
    plain, fresh = model_of(CHAIN), images(20, seed=1)
    errors = []
    for model in (plain, rescaled(plain, w0=size, b0=size, w1=1.0 / size)):
        network = Network.of(model)
        result = sliced(network, images(10), share_of(network, 0.5))
        errors.append(score_error(network, result, fresh))
    assert errors[1] == pytest.approx(errors[0], rel=0.01)


def test_values_that_overflow_are_refused_with_their_node() -> None:
    network = Network.of(rescaled(model_of(CHAIN), w0=1e25, w1=1e25))
    with pytest.raises(SlicingError) as caught:
        sliced(network, images(4), share_of(network, 0.5))
    assert caught.value.reason is SlicingReason.GRAPH_NOT_FINITE
    assert caught.value.metadata["node"] == network.sites[0].node
    assert network.sites[0].node in caught.value.message
