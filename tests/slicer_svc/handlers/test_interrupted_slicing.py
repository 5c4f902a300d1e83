"""Slicing that is cancelled, or whose processes are killed, keeps what it has finished."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from sliceandpack.operation.v1.operation_events_pb2 import OperationEvent, State
from sliceandpack.slicer.v1 import models_pb2 as pb

from tests.helpers.processes import ServiceProcess
from tests.helpers.service_errors import facts, refusal_of
from tests.helpers.slicer import (
    SLOW,
    SlicerClient,
    runs,
    scratch_of,
    until,
    workers_of,
)
from tests.helpers.submissions import MLP, submission

CLASSES = 5


async def slow_plan(slicer: SlicerClient) -> str:
    """The plan of a model whose classes take about a second each."""
    model = await slicer.submit(submission(MLP, classes=CLASSES))
    return (await slicer.plan(model.name, SLOW)).name


def model_of(plan: str) -> str:
    return plan.partition("/plans/")[0]


async def test_cancelled_slicing_ends_in_time_and_keeps_finished_fragments(
    slicer: SlicerClient, slicer_server: ServiceProcess
) -> None:
    plan = await slow_plan(slicer)
    operation = await slicer.start_slicing(plan)
    first = await slicer.first_fragment(model_of(plan))
    asked = time.monotonic()
    await slicer.operations.cancel(operation.name)
    error = await refusal_of(slicer.operations.result(operation.name, pb.SliceModelResponse))
    assert time.monotonic() - asked < 5.0
    assert facts(error) == ("CANCELLED", "CANCELLED")
    kept = await slicer.fragments(model_of(plan))
    assert first in kept
    assert len(kept) < CLASSES
    assert scratch_of(slicer_server) == []
    # Asked for again, what is finished is not made again.
    again = await slicer.slice(plan, [first.label])
    assert again == [first]


async def test_a_killed_slicer_goes_on_where_it_was_and_so_does_whoever_watches(
    slicer: SlicerClient, slicer_server: ServiceProcess
) -> None:
    plan = await slow_plan(slicer)
    operation = await slicer.start_slicing(plan)
    events: list[OperationEvent] = []
    watching = asyncio.create_task(
        slicer.operations.result(operation.name, pb.SliceModelResponse, events.append)
    )
    await slicer.first_fragment(model_of(plan))
    finished = await slicer.fragments(model_of(plan))
    workers = workers_of(slicer_server)
    slicer_server.kill()
    await until(lambda: gone(workers))
    slicer_server.start()
    async with asyncio.timeout(100):
        response = await watching
    assert [fragment.label for fragment in response.fragments] == [
        f"blob-{place}" for place in range(CLASSES)
    ]
    for fragment in finished:
        assert fragment in response.fragments
    sequences = [event.sequence for event in events]
    assert sequences == list(range(1, len(sequences) + 1))
    assert events[-1].state == State.STATE_SUCCEEDED
    assert scratch_of(slicer_server) == []
    assert await slicer.is_serving()


async def test_a_killed_worker_is_replaced_and_the_work_goes_on(
    slicer: SlicerClient, slicer_server: ServiceProcess
) -> None:
    plan = await slow_plan(slicer)
    operation = await slicer.start_slicing(plan)
    first = await slicer.first_fragment(model_of(plan))
    killed = workers_of(slicer_server)
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    response = await slicer.operations.result(operation.name, pb.SliceModelResponse)
    assert len(response.fragments) == CLASSES
    assert first in response.fragments
    assert not set(killed) & set(workers_of(slicer_server))
    assert await slicer.is_serving()


async def gone(pids: list[int]) -> bool:
    """Whether no such process runs any more."""
    return not any(map(runs, pids))
