from __future__ import annotations

import pytest

from benchmarks.paper.tasks import TASKS, superclass_order


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_target_takes_one_class_from_each_of_its_origins(name: str) -> None:
    task = TASKS[name]
    for target in task.targets:
        sources = task.sources(target)
        assert len({source.origin for source in sources}) == len(target)
        for source, label in zip(sources, target, strict=True):
            assert task.origins[source.origin][source.place] == label


@pytest.mark.parametrize(
    ("name", "origins", "targets", "size"),
    [
        ("T1", 3, 3, 3),
        ("T2", 5, 4, 5),
        ("T3", 5, 4, 5),
        ("T4", 10, 10, 5),
        ("T5", 10, 10, 10),
        ("T6", 2, 3, 2),
        ("T7", 2, 2, 2),
    ],
)
def test_tasks_have_the_papers_sizes(name: str, origins: int, targets: int, size: int) -> None:
    task = TASKS[name]
    assert (len(task.origins), len(task.targets)) == (origins, targets)
    assert {len(target) for target in task.targets} == {size}


def test_only_origins_that_a_target_takes_from_are_wanted() -> None:
    assert set(TASKS["T4"].wanted) == {0, 1, 2, 3, 4}
    assert TASKS["T1"].wanted == {0: (0, 1, 2), 1: (0, 1, 2), 2: (0, 1, 2)}
    assert TASKS["T7"].wanted == {0: (1, 2), 1: (1, 2)}


def test_superclass_order_puts_the_classes_of_a_superclass_side_by_side_by_name() -> None:
    order = superclass_order(("bee", "ant", "cup", "bowl"), (1, 1, 0, 0))
    assert order == (3, 2, 1, 0)


def test_a_renumbered_task_takes_the_classes_that_the_order_names() -> None:
    task = TASKS["T1"].renumbered((9, 8, 7, 6, 5, 4, 3, 2, 1, 0))
    assert task.origins[0] == (9, 8, 7)
    assert task.targets[0] == (9, 6, 3)
    assert task.sources(task.targets[0])[1].origin == 1
