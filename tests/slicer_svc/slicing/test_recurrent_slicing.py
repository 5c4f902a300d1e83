"""Recurrent and text networks are planned, priced and sliced like any other."""

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from onnxgraph.cost import cost
from onnxgraph.normalise import normalise
from onnxgraph.surgery import Cut, cut_all
from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.network import Network
from tests.helpers.graph_builder import DrawnGraph
from tests.helpers.recurrent_graphs import recurrent_classifiers

_PACE = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


@_PACE
@given(drawn=recurrent_classifiers(), seed=st.integers(0, 2**16))
def test_the_price_of_kept_hidden_units_is_the_cost_of_the_cut_graph(
    drawn: DrawnGraph, seed: int
) -> None:
    network = Network.of(normalise(drawn.model(np.float32)))
    random = np.random.default_rng(seed)
    kept = {group.id: int(random.integers(1, group.units + 1)) for group in network.groups}
    cuts = [(group, Cut(np.arange(kept[group.id]))) for group in network.groups]
    price, measured = CostModel(network).price(kept), cost(cut_all(network.model, cuts))
    assert price.parameters == measured.parameters
    assert price.macs == measured.macs
    assert price.bytes == measured.bytes
