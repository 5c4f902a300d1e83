from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from onnxgraph.cost import cost
from onnxgraph.groups import unit_groups
from onnxgraph.normalise import normalise
from onnxgraph.surgery import Cut, cut
from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.pricing import Tally
from tests.helpers.random_graphs import DrawnGraph, classifiers
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, model_of

_PACE = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


def assert_prices_match(model: ir.Model, seed: int) -> None:
    network = Network.of(model)
    random = np.random.default_rng(seed)
    kept = {group.id: int(random.integers(1, group.units + 1)) for group in network.groups}
    smaller = network.model
    for group in network.groups:
        units = np.sort(random.choice(group.units, kept[group.id], replace=False))
        smaller = cut(smaller, group, Cut(units))
    price, measured = CostModel(network).price(kept), cost(smaller)
    assert price.parameters == measured.parameters
    assert price.macs == measured.macs
    assert price.bytes == measured.bytes
    assert_tallies_match(network, kept, random)


def assert_tallies_match(
    network: Network, kept: Mapping[str, int], random: np.random.Generator
) -> None:
    """Prices that follow changes group by group end where the cost of the counts is."""
    costs = CostModel(network)
    whole = {group.id: group.units for group in network.groups}
    counts = np.array([kept[group.id] for group in network.groups])
    for pricing, name in (
        (costs.parameters(), "parameters"),
        (costs.macs(), "macs"),
        (costs.bytes(), "bytes"),
    ):
        tally = Tally(pricing, pricing.units)
        assert tally.cost == 1.0
        for group in random.permutation(len(counts)).tolist():
            before = tally.cost
            saved = tally.savings(group, counts[[group]])
            tally.set(group, int(counts[group]))
            assert before - tally.cost == pytest.approx(saved[0], abs=1e-12)
        share = getattr(costs.price(kept), name) / getattr(costs.price(whole), name)
        assert tally.cost == pytest.approx(share, rel=1e-12)


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL])
def test_the_price_of_kept_counts_is_the_cost_of_the_cut_graph(text: str) -> None:
    assert_prices_match(model_of(text), 0)


@_PACE
@given(drawn=classifiers(), seed=st.integers(0, 2**16))
def test_the_price_is_exact_on_random_graphs(drawn: DrawnGraph, seed: int) -> None:
    model = normalise(drawn.model(np.float32))
    if unit_groups(model)[0]:
        assert_prices_match(model, seed)


def test_the_price_of_some_nodes_is_theirs_alone() -> None:
    network = Network.of(model_of(CHAIN))
    whole = {group.id: group.units for group in network.groups}
    first = network.groups[0].producers
    price = CostModel(network).price(whole, first)
    assert price.parameters == 6 * 9 + 6
    assert price.macs == 6 * 9 * 64
    assert price.bytes == 4 * (6 * 9 + 6)
