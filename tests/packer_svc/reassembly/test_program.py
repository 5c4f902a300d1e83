"""The integer program against every choice that there is."""

from itertools import product

import numpy as np
import pytest

from packer_svc.reassembly.program import Choice, Cost, Optimum, Program


def market(models: int, stages: int, seed: int, *, mixed: bool = False) -> Choice:
    """Blocks of made-up models; with `mixed` not every model's blocks are in the sets' order."""
    random = np.random.default_rng(seed)
    count, samples = models * stages, 12
    groups = np.concatenate(
        [random.permutation(stages) if mixed else np.arange(stages) for _ in range(models)]
    )
    sides = random.random((count, samples, 40)) < random.random((count, 1, 40))
    kernels = np.stack(
        [(one @ one.T + ~one @ ~one.T) / one.shape[1] for one in sides.astype(np.float64) > 0]
    ).astype(np.float64)
    stage = np.tile(np.arange(stages), models)
    seams = np.where(stage[:, None] + 1 == stage, -random.random((count, count)), -np.inf)
    return Choice(
        groups,
        stage,
        kernels,
        -random.random(count),
        seams,
        {
            name: Cost(random.uniform(1, 9, count), random.uniform(0, 1, (count, count)))
            for name in ("parameters", "macs")
        },
    )


def all_choices(choice: Choice) -> list[tuple[int, ...]]:
    stages = range(int(choice.stages.max()) + 1)
    found = product(*(np.flatnonzero(choice.stages == stage).tolist() for stage in stages))
    return [
        one
        for one in found
        if len(set(choice.groups[list(one)])) == len(one) and np.isfinite(choice.score(one))
    ]


def within(choice: Choice, one: tuple[int, ...], budgets: dict[str, float]) -> bool:
    return all(choice.costs[name].of(one) <= most for name, most in budgets.items())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("budgets", [{}, {"parameters": 18.0}, {"parameters": 22.0, "macs": 17.0}])
def test_the_optimum_is_that_of_brute_force(seed: int, budgets: dict[str, float]) -> None:
    choice = market(4, 4, seed, mixed=seed % 2 == 1)
    found = Program(choice, budgets).best()
    scores = {one: choice.score(one) for one in all_choices(choice) if within(choice, one, budgets)}

    assert found is not None
    assert found.score == pytest.approx(max(scores.values()), abs=1e-7)
    assert scores[found.blocks] == found.score
    assert found.gap == 0.0
    assert found.bound >= max(scores.values()) - 1e-7


def test_the_next_best_follow_in_order() -> None:
    choice = market(3, 4, 7)
    program = Program(choice, {})
    found: list[Optimum] = []
    for _ in range(5):
        optimum = program.best([one.blocks for one in found])
        assert optimum is not None
        found.append(optimum)
    best = sorted((choice.score(one) for one in all_choices(choice)), reverse=True)[:5]
    assert [one.score for one in found] == pytest.approx(best, abs=1e-6)


def test_blocks_that_cannot_be_joined_never_are() -> None:
    choice = market(3, 3, 1)
    best = Program(choice, {}).best()
    assert best is not None
    choice.seams[best.blocks[0], best.blocks[1]] = -np.inf
    second = Program(choice, {}).best()
    assert second is not None
    assert second.blocks[:2] != best.blocks[:2]
    assert second.score <= best.score


def test_budgets_that_nothing_meets_give_the_smallest_that_can_be_met() -> None:
    choice = market(4, 3, 5)
    cheapest = min(choice.costs["parameters"].of(one) for one in all_choices(choice))
    program = Program(choice, {"parameters": 0.9 * cheapest})
    assert program.best() is None
    least = program.least()
    assert least is not None
    assert least["parameters"] == pytest.approx(cheapest)
    assert Program(choice, least).best() is not None


@pytest.mark.parametrize("scale", [1e-9, 1.0])
def test_the_smallest_of_several_budgets_can_be_met_together(scale: float) -> None:
    choice = market(4, 3, 6)
    asked = {"parameters": 2.0 * scale, "macs": 1.0 * scale}
    least = Program(choice, asked).least()
    assert least is not None
    factor = min(
        max(choice.costs[name].of(one) / most for name, most in asked.items())
        for one in all_choices(choice)
    )
    assert max(least[name] / asked[name] for name in asked) == pytest.approx(factor)
    assert Program(choice, least).best() is not None


def test_models_of_identical_blocks_leave_the_optimum_proven() -> None:
    choice = market(2, 3, 2)
    twice = Choice(
        np.tile(choice.groups, 2),
        np.tile(choice.stages, 2),
        np.tile(choice.kernels, (2, 1, 1)),
        np.tile(choice.worth, 2),
        np.tile(choice.seams, (2, 2)),
        {n: Cost(np.tile(c.blocks, 2), np.tile(c.seams, (2, 2))) for n, c in choice.costs.items()},
    )
    once, found = Program(choice, {}).best(), Program(twice, {}).best()
    assert once is not None
    assert found is not None
    assert found.gap == 0.0
    assert found.score == pytest.approx(once.score, abs=1e-7)


def test_a_market_of_twelve_models_in_four_blocks_is_proven_within_its_time() -> None:
    choice = market(12, 4, 3)
    found = Program(choice, {"parameters": 16.0, "macs": 18.0}).best(seconds=30.0)
    assert found is not None
    assert found.gap == 0.0
