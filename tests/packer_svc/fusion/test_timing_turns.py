from __future__ import annotations

from collections.abc import Callable

from packer_svc.fusion.turns import least_times


class _Counted:
    """Work that takes a number of steps, another one each time."""

    def __init__(self, *steps: int) -> None:
        self._steps = steps
        self.runs = 0

    def __call__(self) -> int:
        steps = self._steps[min(self.runs, len(self._steps) - 1)]
        self.runs += 1
        return sum(range(steps))


def _runs(**work: _Counted) -> dict[str, Callable[[], object]]:
    return dict(work)


def test_the_least_of_all_turns_is_told_and_every_run_has_as_many() -> None:
    short, long = _Counted(400_000, 40_000), _Counted(400_000)
    found = least_times(_runs(short=short, long=long), few=4, most=8)
    assert short.runs == long.runs
    assert 4 <= short.runs <= 8
    assert 0 < found["short"] < found["long"] / 3


def test_there_are_more_turns_while_the_least_time_stands_alone() -> None:
    lucky = _Counted(40_000, *[400_000] * 20)
    least_times(_runs(lucky=lucky), few=2, most=7)
    assert lucky.runs == 7


def test_long_runs_have_no_more_turns_than_needed() -> None:
    steady = _Counted(40_000_000)
    found = least_times(_runs(steady=steady), few=1, most=50)
    assert steady.runs < 50
    assert found["steady"] > 0
