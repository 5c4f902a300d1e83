"""The two services of operations, ready for a server."""

from functools import partial

from google.longrunning import operations_pb2, operations_pb2_grpc
from sliceandpack.operation.v1 import operation_events_pb2, operation_events_pb2_grpc

from svckit.operations.backing import Backing
from svckit.operations.events import OperationEventsServicer
from svckit.operations.servicer import OperationsServicer
from svckit.operations.store import OperationStore
from svckit.paging import PageTokens
from svckit.server import Service


def operation_services(
    store: OperationStore, backing: Backing, tokens: PageTokens
) -> tuple[Service, Service]:
    """Returns `google.longrunning.Operations` and `operation.v1.OperationEvents`.

    Args:
        store: The operations.
        backing: The ground of the store.
        tokens: Makes and opens the page tokens.
    """
    operations = OperationsServicer(store, backing, tokens)
    events = OperationEventsServicer(store, backing)
    return (
        Service(
            operations_pb2.DESCRIPTOR.services_by_name["Operations"],
            partial(operations_pb2_grpc.add_OperationsServicer_to_server, operations),
        ),
        Service(
            operation_events_pb2.DESCRIPTOR.services_by_name["OperationEvents"],
            partial(operation_events_pb2_grpc.add_OperationEventsServicer_to_server, events),
        ),
    )
