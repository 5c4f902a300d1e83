"""What a job gets, gives and says."""

import asyncio
import os

import pytest
from sliceandpack.error.v1 import error_reason_pb2 as pb
from structlog.testing import capture_logs

from svckit.errors import INTERNAL_MESSAGE, Internal, InvalidArgument
from svckit.workers.frames import MAX_FRAME_BYTES, FrameError
from svckit.workers.pool import PoolSettings
from tests.helpers.worker_pools import NotedPool, exists, job


async def test_a_job_gets_its_request_and_gives_its_result(pool: NotedPool) -> None:
    request = {"text": "β × 0.5", "list": [1, 2.5, None, True], "nested": {"a": {}}}
    result = await pool.run(job("echo"), request)
    assert result.pop("pid") != os.getpid()
    assert result == request


async def test_a_worker_is_used_again(pool: NotedPool) -> None:
    pids = {(await pool.run(job("echo"), {}))["pid"] for _ in range(5)}
    assert len(pids) == 1


async def test_progress_comes_in_order_and_before_the_result(pool: NotedPool) -> None:
    seen: list[int] = []

    async def slowly(progress: dict[str, int]) -> None:
        await asyncio.sleep(0)
        seen.append(progress["done"])

    assert await pool.run(job("count"), {"total": 50}, on_progress=slowly) == {"total": 50}
    assert seen == list(range(1, 51))
    await pool.run(job("count"), {"total": 3}, on_progress=lambda body: seen.append(body["done"]))
    assert seen[50:] == [1, 2, 3]
    assert await pool.run(job("count"), {"total": 3}) == {"total": 3}


async def test_what_libraries_print_goes_to_the_log_within_bounds(pool: NotedPool) -> None:
    with capture_logs() as logs:
        assert await pool.run(job("chatter"), {}) == {"quiet": False}
        assert await pool.run(job("echo"), {"still": "in step"})
        await pool.close()
    texts = [entry["text"] for entry in logs if entry["event"] == "worker_output"]
    assert any("noise on standard output" in text for text in texts)
    assert any("to standard error" in text for text in texts)
    assert 0 < sum(map(len, texts)) < 80_000


async def test_a_worker_gets_no_secret_and_no_priority(
    pool: NotedPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    seen = await pool.run(job("inspect"), {})
    assert "hush" not in str(seen["environment"])
    assert seen["environment"]["OMP_NUM_THREADS"] == "1"
    assert seen["niceness"] >= 10
    assert seen["session_leader"]
    kinds = {name.partition(":")[0] for name in seen["descriptors"]}
    assert kinds <= {"/dev/null", "pipe", "socket"}, "no file of the server is open in it"


async def test_an_error_with_a_reason_crosses_as_itself(pool: NotedPool) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await pool.run(job("refuse"), {})
    error = caught.value
    assert error.reason == pb.ERROR_REASON_GRAPH_NOT_ONNX
    assert (error.message, error.advice) == (
        "The bytes are no ONNX model.",
        "Export the model again.",
    )
    assert error.metadata == {"node": "conv1"}
    assert pool.deaths == []


@pytest.mark.parametrize(
    ("name", "request_", "logged"),
    [
        ("fail", {}, "RuntimeError: secret detail"),
        ("refuse", {"reason": "NO_SUCH_REASON"}, "NO_SUCH_REASON"),
        ("exit_politely", {}, "SystemExit: 3"),
        ("answer_with_nan", {}, "Out of range float values"),
    ],
)
async def test_any_other_error_is_internal_and_its_cause_is_in_the_log_alone(
    pool: NotedPool, name: str, request_: dict[str, str], logged: str
) -> None:
    with capture_logs() as logs, pytest.raises(Internal) as caught:
        await pool.run(job(name), request_)
    assert caught.value.message == INTERNAL_MESSAGE
    assert logged not in str(caught.value)
    (line,) = (entry for entry in logs if entry["event"] == "worker_fault")
    assert logged in str(line["outcome"])
    assert line["call_id"] == caught.value.metadata["call_id"]
    assert await pool.run(job("echo"), {})


async def test_only_entries_of_the_list_are_run(pool: NotedPool) -> None:
    with pytest.raises(ValueError, match="os:system"):
        await pool.run("os:system", {})


@pytest.mark.parametrize("request_", [{"x": float("inf")}, {"x": object()}, {"x": "y" * 2**24}])
async def test_what_fits_in_no_frame_is_refused_at_once(
    pool: NotedPool, request_: dict[str, object]
) -> None:
    with pytest.raises(FrameError):
        await pool.run(job("echo"), request_)
    assert MAX_FRAME_BYTES == 2**24


async def test_an_error_of_the_progress_callback_ends_the_job(pool: NotedPool) -> None:
    pids: list[int] = []

    def breaks(progress: dict[str, int]) -> None:
        pids.append(progress["pid"])
        raise LookupError

    with pytest.raises(LookupError):
        await pool.run(job("wait"), {}, on_progress=breaks)
    assert not exists(pids[0])
    assert await pool.run(job("echo"), {})


async def test_a_worker_is_replaced_after_so_many_jobs() -> None:
    async with NotedPool(PoolSettings(jobs_per_worker=2)) as pool:
        pids = [(await pool.run(job("echo"), {}))["pid"] for _ in range(5)]
        assert pids[0] == pids[1]
        assert pids[2] == pids[3]
        assert len(set(pids)) == 3
        assert not exists(pids[0])
        assert pool.deaths == []


async def test_a_worker_that_has_grown_is_replaced() -> None:
    async with NotedPool(PoolSettings(recycle_bytes=1)) as pool:
        pids = {(await pool.run(job("echo"), {}))["pid"] for _ in range(3)}
    assert len(pids) == 3


async def test_jobs_run_side_by_side_on_several_workers() -> None:
    both = asyncio.Barrier(2)

    async def meet(_: dict[str, int]) -> None:
        await both.wait()  # Passes only if both jobs run at once.

    async with NotedPool(PoolSettings(size=2)) as pool:
        request = {"seconds": 0}
        results = await asyncio.gather(
            *(pool.run(job("wait"), request, on_progress=meet) for _ in range(2))
        )
    assert len({result["pid"] for result in results}) == 2
