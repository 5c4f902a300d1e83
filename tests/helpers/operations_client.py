"""Operations as a client sees them, by the generated stubs alone."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from sliceandpack.operation.v1.operation_events_pb2 import OperationMetadata

M = TypeVar("M", bound=Message)


class OperationFailedError(Exception):
    """An operation ended with an error.

    Attributes:
        code: The name of its canonical code.
        reason: The reason in its ErrorInfo.
        metadata: The facts in its ErrorInfo.
        message: Its message.
    """

    def __init__(self, operation: operations_pb2.Operation) -> None:
        info = error_details_pb2.ErrorInfo()
        assert any(detail.Unpack(info) for detail in operation.error.details), operation.error
        codes = {code.value[0]: code.name for code in grpc.StatusCode}
        self.code = codes[operation.error.code]
        self.reason = str(info.reason)
        self.metadata = dict(info.metadata)
        self.message = operation.error.message
        super().__init__(f"{self.code} {self.reason}: {self.message}")


class OperationsClient:
    """A client of a service's operations.

    Args:
        channel: A channel to the service.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.operations: Any = operations_pb2_grpc.OperationsStub(channel)

    async def response(self, operation: operations_pb2.Operation, kind: type[M]) -> M:
        """Waits for an operation.

        Raises:
            OperationFailedError: It failed.
        """
        ended = await self.ended(operation)
        if ended.HasField("error"):
            raise OperationFailedError(ended)
        answer = kind()
        assert ended.response.Unpack(answer)
        return answer

    async def ended(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        """Waits until an operation has ended."""
        async with asyncio.timeout(90):
            while not operation.done:
                await asyncio.sleep(0.02)
                operation = await self.look(operation)
        return operation

    async def look(self, operation: operations_pb2.Operation) -> operations_pb2.Operation:
        """Returns an operation as it stands."""
        found: operations_pb2.Operation = await self.operations.GetOperation(
            operations_pb2.GetOperationRequest(name=operation.name), wait_for_ready=True
        )
        return found

    async def until_phase(self, operation: operations_pb2.Operation, phase: str) -> None:
        """Waits until an operation has come to a phase of its work."""
        async with asyncio.timeout(60):
            while metadata_of(operation).progress.phase != phase:
                assert not operation.done, operation
                await asyncio.sleep(0.02)
                operation = await self.look(operation)

    async def cancel(self, operation: operations_pb2.Operation) -> None:
        """Cancels an operation."""
        await self.operations.CancelOperation(
            operations_pb2.CancelOperationRequest(name=operation.name)
        )


def metadata_of(operation: operations_pb2.Operation) -> OperationMetadata:
    """Returns what is known of an operation."""
    metadata = OperationMetadata()
    assert operation.metadata.Unpack(metadata)
    return metadata
