"""`operation.v1.OperationEvents`: what happens to an operation, as a stream."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from sliceandpack.error.v1 import error_reason_pb2 as reasons
from sliceandpack.operation.v1.operation_events_pb2 import (
    OperationEvent,
    OperationMetadata,
    WatchOperationRequest,
)
from sliceandpack.operation.v1.operation_events_pb2_grpc import OperationEventsServicer as Base

from svckit.clock import wait_until_set
from svckit.errors import FieldViolation, InvalidArgument
from svckit.operations.backing import Backing
from svckit.operations.changes import events_of
from svckit.operations.messages import to_id
from svckit.operations.store import OperationStore

# How many events are read from the table at once.
_BATCH = 200


class OperationEventsServicer(Base):
    """Streams the events of the operations of a store.

    Args:
        store: The operations.
        backing: The same ground as the store's.
    """

    def __init__(self, store: OperationStore, backing: Backing) -> None:
        self._store = store
        self._backing = backing

    async def WatchOperation(  # noqa: N802
        self,
        request: WatchOperationRequest,
        context: grpc.aio.ServicerContext[Any, Any],  # noqa: ARG002
    ) -> AsyncIterator[OperationEvent]:
        """Yields each event after `after_sequence` once, in order, up to the operation's last.

        Raises:
            InvalidArgument: If the name is malformed or no event can have that number yet.
            NotFound: If there is no such operation, or it was deleted meanwhile.
        """
        after = request.after_sequence
        with self._backing.changes.listen(events_of(to_id(request.name))) as changed:
            while True:
                changed.clear()
                events, operation = await self._store.events(request.name, after, _BATCH)
                last = _last_sequence(operation.metadata)
                if not 0 <= after <= last:
                    raise _impossible(after, last)
                for event in events:
                    after = event.sequence
                    yield event
                if after < last:
                    continue
                if operation.done:
                    return
                await wait_until_set(changed, self._backing.clock, self._backing.settings.poll)


def _last_sequence(packed: Any) -> int:  # noqa: ANN401
    metadata = OperationMetadata()
    packed.Unpack(metadata)
    return metadata.last_sequence


def _impossible(after: int, last: int) -> InvalidArgument:
    return InvalidArgument(
        reasons.ERROR_REASON_FIELD_INVALID,
        f"The operation has no event {after}.",
        advice="Start with 0, or with the number of an event that you got.",
        metadata={"field": "after_sequence"},
        violations=[FieldViolation("after_sequence", f"must lie between 0 and {last}")],
    )
