import numpy as np
import pytest
import torch

from onnxgraph.view import TorchView
from slicer_svc.slicing import walk as walking
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.walk import Walk, minibatches
from slicer_svc.slicing.workbench import Workbench
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
@pytest.mark.parametrize("kept_bytes", [walking.KEPT_BYTES, 0])
def test_a_walk_reads_the_same_values_as_a_plain_run(
    text: str, kept_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "KEPT_BYTES", kept_bytes)
    monkeypatch.setattr(walking, "BATCH", 4)
    network, samples = Network.of(model_of(text)), images(3)
    view = TorchView(network.model)
    whole = minibatches(samples, np.ones(len(samples)))
    walk = Walk(view, network.route, whole)
    inputs = {"x": torch.from_numpy(np.array(samples.inputs["x"]))}
    for site in network.sites:
        parts = [values[site.value] for values in walk.advance(site.place, [site.value])]
        plain = view.run(inputs, fetch=[site.value])[site.value]
        torch.testing.assert_close(torch.cat(parts), plain)
    ahead = [values["scores"] for values in walk.look_ahead(["scores"])]
    torch.testing.assert_close(torch.cat(ahead), view.run(inputs, fetch=["scores"])["scores"])


def test_a_walk_goes_on_with_weights_that_were_changed_behind_its_stop() -> None:
    network, samples = Network.of(model_of(CHAIN)), images(2)
    bench = Workbench(network.model)
    walk = Walk(bench.view, network.route, minibatches(samples, np.ones(len(samples))))
    site = network.sites[-1]
    walk.go_to(site.place)
    weight, bias = bench.matrix(site.node)
    assert bias is not None
    bench.set_matrix(site.node, np.zeros_like(weight), bias + 1.0)
    (values,) = walk.look_ahead(["scores"])
    expected = np.broadcast_to(bias + 1.0, values["scores"].shape)
    np.testing.assert_allclose(values["scores"].detach().numpy(), expected, rtol=1e-6)


def test_minibatches_keep_samples_and_weights_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walking, "BATCH", 4)
    samples = images(3)
    weights = np.arange(9, dtype=np.float64)
    batches = minibatches(samples, weights)
    assert [len(batch.weights) for batch in batches] == [4, 4, 1]
    together = torch.cat([batch.inputs["x"] for batch in batches]).numpy()
    np.testing.assert_array_equal(together, samples.inputs["x"])
    np.testing.assert_array_equal(torch.cat([b.weights for b in batches]).numpy(), weights)
