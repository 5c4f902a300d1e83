from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.market_expansion import main, rate, with_random_targets
from benchmarks.paper.tasks import TASKS
from tests.helpers.tiny_pictures import write_tiny_cifar100


def test_every_pack_under_the_error_makes_the_largest_market() -> None:
    task = TASKS["T3"]
    assert rate([0.1, 0.2], task, 0.2) == 640_000
    assert rate([0.1, 0.3, 0.4, 0.2], task, 0.25) == 320_000
    assert rate([0.5], task, 0.2) == 0


def test_random_packs_take_one_class_of_each_origin_and_depend_on_the_seed() -> None:
    task = with_random_targets(TASKS["T3"], 7, seed=0)
    for target in task.targets:
        assert [source.origin for source in task.sources(target)] == [0, 1, 2, 3, 4]
    assert task.targets == with_random_targets(TASKS["T3"], 7, seed=0).targets
    assert task.targets != with_random_targets(TASKS["T3"], 7, seed=1).targets


@pytest.mark.slow
def test_a_market_of_tiny_pictures_is_measured(tmp_path: Path) -> None:
    write_tiny_cifar100(tmp_path, train=6, test=4)
    given = [
        *("--task", "T3", "--arch", "vgg16", "--k", "2", "--width", "0.0625", "--views", "1"),
        *("--packs", "3", "--beta", "0.5", "--threads", "1"),
        *("--data", str(tmp_path), "--out", str(tmp_path / "out")),
    ]
    assert main(given) == 0
    (path,) = (tmp_path / "out").glob("market-*.json")
    market = json.loads(path.read_text())["market"]
    assert market["rates"][-1] == 640_000
    assert market["rates"] == sorted(market["rates"])
