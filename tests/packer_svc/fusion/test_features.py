import numpy as np
import pytest

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.parity import Runner, run_onnx
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import fragment_features, run_batches
from tests.helpers.fragments import CONVOLUTION, POINTWISE, fragment, samples
from tests.helpers.graph_texts import parse


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_batches_of_any_size_give_the_features_of_one_run(batch: int) -> None:
    images, _ = samples(3, 3)
    found = fragment_features(fragment(CONVOLUTION), {"image": images}, batch=batch)
    whole = {
        name: values.astype(np.float32)
        for name, values in run_onnx(fragment(CONVOLUTION), {"image": images}).items()
    }
    assert found.features.shape == (9, 108)
    np.testing.assert_allclose(found.features, whole["features"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.scores, whole["scores"], rtol=1e-5, atol=1e-4)


def test_maps_of_one_position_count_as_flat_features() -> None:
    images, _ = samples(2, 2)
    found = fragment_features(fragment(POINTWISE), {"image": images})
    assert found.features.shape == (4, 9)
    assert found.scores.shape == (4, 5)


def test_a_graph_that_is_no_fragment_is_refused() -> None:
    images, _ = samples(2, 2)
    plain = parse(CONVOLUTION).SerializeToString()
    with pytest.raises(FusionError) as caught:
        fragment_features(plain, {"image": images})
    assert caught.value.reason is FusionReason.FRAGMENTS_INCOMPATIBLE
    assert "features" in caught.value.message


def test_features_that_are_not_finite_are_refused() -> None:
    images = np.full((2, 2, 6, 6), 3e38, np.float32)
    with pytest.raises(FusionError) as caught:
        fragment_features(fragment(CONVOLUTION), {"image": images})
    assert caught.value.reason is FusionReason.GRAPH_NOT_FINITE


def test_samples_that_do_not_fit_are_refused() -> None:
    images, _ = samples(2, 2)
    for inputs in ({"picture": images}, {"image": images[:0]}):
        with pytest.raises(FusionError) as caught:
            fragment_features(fragment(CONVOLUTION), inputs)
        assert caught.value.reason is FusionReason.SAMPLES_MISMATCH
    with pytest.raises(GraphError) as refused:
        fragment_features(fragment(CONVOLUTION), {"image": images[:, :1]})
    assert refused.value.reason is GraphReason.GRAPH_NOT_EXECUTABLE


def test_arrays_of_inputs_that_the_graph_lacks_are_left_aside() -> None:
    images, _ = samples(2, 2)
    runner = Runner(fragment(CONVOLUTION))
    alone = run_batches(runner, {"image": images}, ("scores",), batch=2)
    more = run_batches(runner, {"image": images, "other": images[:1]}, ("scores",), batch=2)
    assert np.array_equal(alone["scores"], more["scores"])
