"""Google's own client, which has no types, drives operations unmodified."""

# mypy: disable-error-code=no-untyped-call

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
from google.api_core import exceptions, operations_v1
from google.api_core.future.polling import DEFAULT_POLLING
from google.api_core.operation import Operation, from_gapic
from sliceandpack.operation.v1.operation_events_pb2 import OperationMetadata, State
from sliceandpack.slicer.v1 import models_pb2_grpc
from sliceandpack.slicer.v1.models_pb2 import SliceModelRequest, SliceModelResponse

from svckit.lifecycle import Lifecycle
from svckit.settings import ServerSettings
from tests.helpers.operation_server import UNKNOWN, compose, hold_file


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    lifecycle = Lifecycle(ServerSettings(state_dir=tmp_path, drain_seconds=1), compose)
    await lifecycle.start()
    yield str(lifecycle.address)
    await lifecycle.shutdown()


def drive(address: str, labels: list[str], what: Callable[[Operation], object]) -> object:
    """Starts an operation with the synchronous client, and does `what` with it."""
    with grpc.insecure_channel(address) as channel:
        request = SliceModelRequest(name="models/m", plan="models/m/plans/p", labels=labels)
        started = models_pb2_grpc.ModelsStub(channel).SliceModel(request, timeout=20)
        return what(
            from_gapic(
                started,
                operations_v1.OperationsClient(channel),
                SliceModelResponse,
                metadata_type=OperationMetadata,
                polling=DEFAULT_POLLING.with_delay(initial=0.02, maximum=0.1),
            )
        )


def result(operation: Operation) -> tuple[SliceModelResponse, OperationMetadata]:
    return operation.result(timeout=20), operation.metadata


def cancelled(operation: Operation) -> bool:
    assert operation.running()
    assert operation.cancel()
    with pytest.raises(exceptions.Cancelled):
        operation.result(timeout=20)
    assert not operation.cancel()
    return bool(operation.cancelled())


async def test_success(address: str) -> None:
    done = await asyncio.to_thread(drive, address, ["cat", "dog"], result)
    assert isinstance(done, tuple)
    response, metadata = done
    assert [fragment.name for fragment in response.fragments] == [
        "models/m/fragments/cat",
        "models/m/fragments/dog",
    ]
    assert (metadata.kind, metadata.target) == ("SliceModel", "models/m")
    assert metadata.state == State.STATE_SUCCEEDED


async def test_failure(address: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="There is no class 'unknown'"):
        await asyncio.to_thread(drive, address, ["cat", UNKNOWN], result)


async def test_cancellation(address: str, tmp_path: Path) -> None:
    hold_file(tmp_path, "dog").touch()
    assert await asyncio.to_thread(drive, address, ["cat", "dog"], cancelled)
