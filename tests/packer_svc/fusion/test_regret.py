"""Chains of siblings whose costs are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from onnxgraph.siblings.find import Layout, Siblings
from onnxgraph.siblings.seams import Place
from packer_svc.fusion.layout.costs import BATCHES, NOTHING, Costs
from packer_svc.fusion.layout.regret import Choice, best_joined, choose

Ratios = tuple[float, float, float]
"""Time of joined layers over that of separate ones, by batch."""

FREE = dict.fromkeys(BATCHES, 0.0)


class _Chain:
    """Layers of the same branches behind each other, each as long as all others.

    Args:
        ratios: By layer from the front.
        seam: What a Concat or a Split costs in a batch of 1, in layers.
    """

    def __init__(self, ratios: Sequence[Ratios | None], seam: float = 0.0) -> None:
        self._ratios = ratios
        self._seam = {batch: seam * batch for batch in BATCHES}
        self.asked: dict[int, set[int]] = {}

    def choice(self) -> Choice:
        many = len(self._ratios)
        groups = [Siblings((), (Layout.SEPARATE, Layout.GROUPED))] * many
        places = [
            Place(
                at,
                (at - 1,) if at else (),
                frozenset({at + 1}) if at + 1 < many else frozenset(),
            )
            for at in range(many)
        ]
        return choose(groups, places, self._costs)

    def joined(self) -> list[int]:
        layouts = self.choice().layouts
        return [at for at, layout in enumerate(layouts) if layout is Layout.GROUPED]

    def _costs(self, at: int, batches: Sequence[int]) -> Costs:
        self.asked.setdefault(at, set()).update(batches)
        ratios = self._ratios[at]
        if ratios is None:
            return NOTHING
        joined = dict(zip(BATCHES, ratios, strict=True))
        seconds: Mapping[Layout, Mapping[int, float]] = {
            Layout.SEPARATE: {batch: float(batch) for batch in batches},
            Layout.GROUPED: {batch: batch * joined[batch] for batch in batches},
        }
        return Costs(seconds, self._seam, self._seam)


WINS: Ratios = (0.9, 0.95, 1.0)
LOSES: Ratios = (0.9, 1.1, 1.2)
LOSES_MUCH: Ratios = (0.97, 1.3, 1.6)
SAME: Ratios = (1.0, 1.0, 1.0)


def test_what_wins_everywhere_is_joined() -> None:
    chain = _Chain([WINS, WINS, WINS, WINS])
    choice = chain.choice()
    assert set(choice.layouts) == {Layout.GROUPED}
    assert choice.regret == dict.fromkeys(BATCHES, 1.0)
    assert choice.apart == {1: pytest.approx(1.1111), 8: pytest.approx(1.0526), 32: 1.0}


def test_layers_are_joined_from_where_no_batch_loses_much() -> None:
    assert _Chain([LOSES_MUCH, LOSES_MUCH, LOSES_MUCH, WINS, WINS, WINS, WINS]).joined() == [
        3,
        4,
        5,
        6,
    ]


def test_the_largest_loss_over_the_batches_is_least() -> None:
    chain = _Chain([LOSES] * 10)
    choice = chain.choice()
    assert 0 < len(chain.joined()) < 10
    assert max(choice.regret.values()) < max(choice.apart.values())
    assert choice.regret[1] == pytest.approx(choice.regret[32], abs=0.03)


def test_what_changes_little_is_left_apart() -> None:
    chain = _Chain([SAME, SAME, (0.98, 0.99, 1.0)])
    assert chain.joined() == []
    assert max(chain.choice().regret.values()) < 1.01


def test_front_layers_are_not_timed_in_large_batches_when_the_end_is_enough() -> None:
    chain = _Chain([(0.99, 1.0, 1.0)] * 3 + [(0.7, 0.9, 0.95)] * 2)
    assert chain.joined() == [3, 4]
    assert chain.asked[0] == {1}
    assert chain.asked[4] == set(BATCHES)


def test_joining_that_costs_more_than_it_wins_is_left() -> None:
    assert _Chain([SAME, (0.9, 0.9, 0.9), None]).joined() == [1]
    assert _Chain([SAME, (0.9, 0.9, 0.9), None], seam=0.2).joined() == []


def test_without_siblings_nothing_is_lost() -> None:
    choice = _Chain([None, None]).choice()
    assert choice.layouts == (Layout.SEPARATE, Layout.SEPARATE)
    assert choice.regret == dict.fromkeys(BATCHES, 1.0)


def test_the_layout_that_loses_least_anywhere_stands_for_joined_layers() -> None:
    seconds = {
        Layout.SEPARATE: {1: 1.0, 32: 32.0},
        Layout.GROUPED: {1: 0.9, 32: 32.0},
        Layout.BLOCK_DIAGONAL: {1: 0.5, 32: 40.0},
    }
    assert best_joined(seconds) is Layout.GROUPED
