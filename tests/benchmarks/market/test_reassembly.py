"""What the experiment on reassembly makes of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.market.reassembly import MARKET, summary
from benchmarks.paper.tasks import TASKS


def row(ours: float, chosen: float, best: float) -> dict[str, Any]:
    """A pack of 100 test pictures; cross-validation prefers a single model that is not the best."""

    def answers(share: float) -> list[int]:
        return [int(one) for one in np.arange(100) < 100 * share]

    return {
        "target": [0, 3, 6],
        "reassembled": {
            "right": answers(ours),
            "accuracy": ours,
            "gap": 0.0,
            "program_seconds": 0.5,
            "parameters": 10,
            "macs": 20,
        },
        "singles": {
            "a": {"right": answers(chosen), "accuracy": chosen, "log_loss": 0.2},
            "b": {"right": answers(best), "accuracy": best, "log_loss": 0.3},
        },
    }


def test_the_network_is_held_against_the_choice_of_the_samples_and_that_of_the_test_data() -> None:
    found = summary([[row(0.8, 0.7, 0.9)], [row(0.8, 0.7, 0.9)], [row(0.8, 0.7, 0.9)]])
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["single_accuracy"] == pytest.approx(0.7)
    assert found["best_single_accuracy"] == pytest.approx(0.9)
    over, under = found["over_single"], found["over_best_single"]
    assert isinstance(over, dict)
    assert isinstance(under, dict)
    assert over["low"] <= over["mean"] <= over["high"]
    assert round(over["mean"], 9) == 0.1
    assert round(under["mean"], 9) == -0.1
    assert found["largest_gap"] == 0.0


def test_the_answers_themselves_are_left_out_of_the_document() -> None:
    rows = summary([[row(0.5, 0.5, 0.5)]])["rows"]
    assert isinstance(rows, list)
    assert "right" not in str(rows)


def test_the_market_has_twelve_models_of_four_kinds() -> None:
    assert len(MARKET) * len(TASKS["T1"].origins) == 12
    assert len({(arch, width) for arch, width, _ in MARKET}) == 4
