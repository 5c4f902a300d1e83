import pytest
from google.protobuf.wrappers_pb2 import StringValue
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1.operation_events_pb2 import Progress

from svckit.errors import NotFound
from svckit.operations.job import JobContext
from svckit.operations.progress import ProgressMeter
from tests.helpers.clock import ManualClock
from tests.helpers.operations import Rig, metadata, progress


async def eta_after(reports: list[tuple[float, Progress]]) -> float:
    """Returns the ETA at the last of reports that come after so many seconds each."""
    clock, meter, measured = ManualClock(), ProgressMeter(), Progress()
    for seconds, report in reports:
        await clock.advance(seconds)
        measured = meter.measure(report, clock.now())
    return measured.eta_seconds


async def test_the_eta_is_unknown_at_first() -> None:
    assert await eta_after([(0, progress(0))]) < 0


async def test_the_eta_follows_the_pace() -> None:
    assert await eta_after([(0, progress(0)), (4, progress(2))]) == pytest.approx(16)


async def test_parts_of_an_earlier_attempt_do_not_make_the_pace_faster() -> None:
    assert await eta_after([(0, progress(6)), (3, progress(7))]) == pytest.approx(9)


async def test_the_eta_shrinks_while_a_part_goes_on() -> None:
    reports = [(0.0, progress(0)), (4, progress(2)), (1, progress(2))]
    assert await eta_after(reports) == pytest.approx(15)


async def test_a_part_that_takes_longer_than_all_others_gives_no_negative_eta() -> None:
    assert await eta_after([(0, progress(8)), (1, progress(9)), (60, progress(9))]) == 0


async def test_when_all_is_done_nothing_is_left() -> None:
    assert await eta_after([(0, progress(10))]) == 0


async def test_the_eta_is_unknown_again_when_the_work_turns_out_to_be_another() -> None:
    assert await eta_after([(0, progress(0)), (4, progress(2)), (1, progress(3, 99))]) < 0
    assert await eta_after([(0, progress(0)), (4, progress(2)), (1, progress(0))]) < 0


async def test_without_a_total_the_eta_stays_unknown() -> None:
    assert await eta_after([(0, progress(1, 0)), (4, progress(2, 0))]) < 0


def test_what_was_reported_is_left_as_it_is() -> None:
    report = Progress(phase="pooling", class_label="cat", layer="conv1", done=1, total=1)
    measured = ProgressMeter().measure(report, ManualClock().now())
    assert report.eta_seconds == 0
    assert (measured.phase, measured.class_label, measured.layer) == ("pooling", "cat", "conv1")


async def test_what_succeeded_has_all_of_its_parts_done_and_no_time_left(rig: Rig) -> None:
    async def count(context: JobContext, request: StringValue) -> StringValue:
        await context.report(progress(0))
        await rig.clock.sleep(4)
        await context.report(progress(2))
        return request

    async with rig.runner(count):
        name = (await rig.submit()).name
        await rig.running(name)
        await rig.pass_time_until(lambda: rig.is_done(name), most=20)
    last = (await rig.events(name))[-1].progress
    assert metadata(await rig.store.get(name)).progress == last
    assert (last.done, last.eta_seconds) == (last.total, 0.0)
    assert last.total > 2


async def test_what_failed_shows_how_far_it_came(rig: Rig) -> None:
    async def count(context: JobContext, request: StringValue) -> StringValue:
        await context.report(progress(2))
        raise NotFound(reasons.ERROR_REASON_RESOURCE_NOT_FOUND, "It is gone.", advice="Look.")

    async with rig.runner(count):
        name = (await rig.submit()).name
        operation = await rig.done(name)
    assert metadata(operation).progress.done == 2
