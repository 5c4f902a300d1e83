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

PARTED = """
parted (float[batch, 1, 8, 8] x) => (float[batch, 3] scores)
  <float[6, 1, 3, 3] w1, float[6] b1, float[5, 3, 1, 1] w2, float[5] b2,
   float[3, 8] w3, float[3] b3>
{
  c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
  active = Relu (c1)
  one, other = Split <axis = 1, num_outputs = 2> (active)
  c2 = Conv (other, w2, b2)
  joined = Concat <axis = 1> (one, c2)
  pooled = GlobalAveragePool (joined)
  flat = Flatten (pooled)
  scores = Gemm <transB = 1> (flat, w3, b3)
}
"""
"""A convolution of 3 and 3 units that part ways, and one of 5 units behind half of them."""

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


@pytest.mark.parametrize("text", [CHAIN, RESIDUAL, PARTED])
def test_the_price_of_kept_counts_is_the_cost_of_the_cut_graph(text: str) -> None:
    assert_prices_match(model_of(text), 0)


@_PACE
@given(drawn=classifiers(), seed=st.integers(0, 2**16))
def test_the_price_is_exact_on_random_graphs(drawn: DrawnGraph, seed: int) -> None:
    model = normalise(drawn.model(np.float32))
    if unit_groups(model)[0]:
        assert_prices_match(model, seed)


def test_the_price_of_a_group_is_that_of_its_producers() -> None:
    network = Network.of(model_of(CHAIN))
    whole = {group.id: group.units for group in network.groups}
    costs, first = CostModel(network), network.groups[0]
    price = costs.group_price(first, whole)
    assert price.parameters == 6 * 9 + 6
    assert price.macs == 6 * 9 * 64
    assert price.bytes == 4 * (6 * 9 + 6)
    half = costs.group_price(first, {**whole, first.id: 3})
    assert (half.parameters, half.macs) == (3 * 9 + 3, 3 * 9 * 64)


def test_groups_that_share_a_producer_share_its_price() -> None:
    network = Network.of(model_of(PARTED))
    whole = {group.id: group.units for group in network.groups}
    costs = CostModel(network)
    one, other, behind = network.groups
    assert one.producers == other.producers == ("c1",)
    prices = [costs.group_price(group, whole) for group in (one, other, behind)]
    assert [price.parameters for price in prices] == [3 * 10, 3 * 10, 5 * 4]
    assert sum(price.macs for price in prices) < costs.price(whole).macs
    cut = {**whole, other.id: 2}
    assert costs.group_price(one, cut).parameters == 3 * 10
    assert costs.group_price(other, cut).parameters == 2 * 10
