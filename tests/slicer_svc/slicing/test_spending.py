"""Blocks: which counts a budget may end at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from slicer_svc.slicing import blocks
from slicer_svc.slicing.blocks import fitting_grain, grain, machine_block, narrower
from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.plan import Curve
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.spending import Spent, spend_budget
from tests.helpers.small_classifiers import CHAIN, model_of


def spent(network: Network, **recipe: Any) -> Spent:
    curves = [_curve(group.id, group.units) for group in network.groups]
    return spend_budget(network.groups, curves, Recipe(**recipe), CostModel(network), None)


def counts(spent: Spent) -> Sequence[int]:
    return list(spent.kept.values())


def _curve(group: str, units: int) -> Curve:
    kept = tuple(range(1, units))
    return Curve(group, units, kept, tuple((1 - count / units) ** 2 for count in kept))


def test_a_block_and_its_halves_end_at_one_channel() -> None:
    assert list(narrower(16)) == [16, 8, 4, 2, 1]


def test_the_machines_block_is_one_of_its_vectors() -> None:
    assert machine_block() in (blocks.AVX512_BLOCK, blocks.OTHER_BLOCK)


def test_a_group_that_two_blocks_do_not_fit_in_gets_a_narrower_one() -> None:
    six, eight, ten = Network.of(model_of(CHAIN)).groups
    assert [fitting_grain(group, 16) for group in (six, eight, ten)] == [2, 4, 4]
    assert [grain(group, 16) for group in (six, eight, ten)] == [16, 16, 16]


def test_blocks_of_the_machine_are_kept_where_the_budget_allows() -> None:
    found = spent(Network.of(model_of(CHAIN)), budget_params=0.6)
    units = (6, 8, 10)
    for count, step, whole in zip(counts(found), found.grains.values(), units, strict=True):
        assert step > 1
        assert count == whole or count % step == 0


def test_blocks_of_the_machine_give_way_to_a_budget_that_they_do_not_reach() -> None:
    network = Network.of(model_of(CHAIN))
    found = spent(network, budget_params=0.05)
    assert set(found.grains.values()) == {1}
    price = CostModel(network).price
    whole = price({group.id: group.units for group in network.groups})
    assert price(found.kept).parameters <= 0.05 * whole.parameters


WIDE = """
wide (float[batch, 1, 8, 8] x) => (float[batch, 3] scores)
  <float[UNITS, 1, 3, 3] w0, float[UNITS] b0, float[UNITS, UNITS, 3, 3] w1, float[UNITS] b1,
   float[3, UNITS] w2, float[3] b2>
{
  maps0 = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
  active0 = Relu (maps0)
  maps1 = Conv <pads = [1, 1, 1, 1]> (active0, w1, b1)
  active1 = Relu (maps1)
  pooled = GlobalAveragePool (active1)
  flat = Flatten (pooled)
  scores = Gemm <transB = 1> (flat, w2, b2)
}
"""
"""Two convolutions of equally many units."""


@pytest.mark.parametrize("budget", [0.1, 0.2, 0.35])
def test_a_narrow_model_spends_its_budget_in_finer_blocks(
    budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is narrow depends on the machine's vectors.
    monkeypatch.setattr(blocks, "machine_block", lambda: blocks.AVX512_BLOCK)
    network = Network.of(model_of(WIDE.replace("UNITS", "32")))
    found = spent(network, budget_macs=budget)
    assert share(network, found) >= 0.9 * budget
    assert max(found.grains.values()) < blocks.AVX512_BLOCK


def test_a_wide_model_keeps_the_blocks_of_the_machine() -> None:
    found = spent(Network.of(model_of(WIDE.replace("UNITS", "512"))), budget_macs=0.2)
    assert set(found.grains.values()) == {machine_block()}


def share(network: Network, found: Spent) -> float:
    price = CostModel(network).price
    whole = price({group.id: group.units for group in network.groups})
    return price(found.kept).macs / whole.macs


def test_a_block_that_was_asked_for_gives_way_to_nothing() -> None:
    network = Network.of(model_of(CHAIN))
    with pytest.raises(SlicingError) as caught:
        spent(network, budget_params=0.05, block=4)
    assert caught.value.reason is SlicingReason.BUDGET_UNREACHABLE
    found = spent(network, budget_params=0.7, block=4)
    assert counts(found)[0] in (4, 6)
    assert counts(found)[1] in (4, 8)
    assert counts(found)[2] in (4, 8, 10)


def test_any_kind_of_cost_can_be_the_budget() -> None:
    network = Network.of(model_of(CHAIN))
    costs = CostModel(network)
    whole = costs.price({group.id: group.units for group in network.groups})
    for budget, name in (
        ("budget_params", "parameters"),
        ("budget_macs", "macs"),
        ("budget_bytes", "bytes"),
    ):
        price = costs.price(spent(network, block=1, **{budget: 0.4}).kept)
        assert 0.25 < getattr(price, name) / getattr(whole, name) <= 0.4


def test_a_larger_budget_never_buys_a_cheaper_fragment() -> None:
    network = Network.of(model_of(CHAIN))
    found = [spent(network, budget_macs=float(share)) for share in np.linspace(0.3, 1, 8)]
    costs = CostModel(network)
    prices = [costs.price(one.kept).macs for one in found]
    assert prices == sorted(prices)
