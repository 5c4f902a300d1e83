from __future__ import annotations

import pytest

from serving.model_config import InstanceKind
from serving.reconciler.site import ServingProfile
from serving.tuning import BATCH, MOST_WINDOW_SECONDS, UNTUNED, RunTime, tuned


def test_a_small_model_gets_an_instance_a_core_and_single_threads() -> None:
    found = tuned(RunTime(single=0.001, batch=0.004), cores=4)
    assert (found.instances.count, found.threads.intra_op) == (4, 1)


def test_a_model_that_takes_long_gets_all_cores_for_one_sample() -> None:
    found = tuned(RunTime(single=0.2, batch=1.5), cores=4)
    assert (found.instances.count, found.threads.intra_op) == (1, 4)


@pytest.mark.parametrize("single", [0.0002, 0.001, 0.02, 0.09, 3.0])
def test_a_lone_client_waits_for_less_than_a_tenth_of_a_run(single: float) -> None:
    window = tuned(RunTime(single, single * 2), cores=2).batching.max_queue_delay_microseconds
    assert 0 < window <= 0.1 * 1e6 * single
    assert window <= 1e6 * MOST_WINDOW_SECONDS


def test_nobody_waits_where_batches_save_nothing() -> None:
    assert not tuned(RunTime(0.01, 0.01 * BATCH), cores=2).batching.max_queue_delay_microseconds


def test_settings_go_before_the_rule_and_a_gpu_is_not_judged_by_a_processor() -> None:
    time = RunTime(0.001, 0.004)
    ruled = ServingProfile(64, cores=3).tuning(time)
    assert ruled == tuned(time, 3)
    set_ = ServingProfile(64, cores=3, instances=5, intra_op=2).tuning(time)
    assert (set_.instances.count, set_.threads.intra_op) == (5, 2)
    assert set_.batching == ruled.batching
    gpu = ServingProfile(64, cores=3, kind=InstanceKind.GPU).tuning(time)
    assert gpu.instances.kind is InstanceKind.GPU
    assert (gpu.instances.count, gpu.batching) == (1, UNTUNED.batching)
    assert ServingProfile(64, cores=3).tuning(None) == UNTUNED
