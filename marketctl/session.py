"""One run of a command: its settings, its printer, and the services that it talks to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import grpc
from google.longrunning import operations_pb2
from sliceandpack.packer.v1 import deployments_pb2_grpc, packs_pb2_grpc
from sliceandpack.slicer.v1 import models_pb2_grpc, search_pb2_grpc

from marketctl.output import Printer
from marketctl.progress import operation_progress
from marketctl.settings import Settings
from svckit.clients.channel import channel
from svckit.clients.operations import M, Operations, WaitPolicy, response_of
from svckit.clients.patience import answer


class Service:
    """One of the two services.

    Args:
        name: ``slicer`` or ``packer``.
        address: Where it listens.
        connection: A channel to it.
        timeout: How long an operation is waited for, seconds.

    Attributes:
        name: As given.
        address: As given.
        channel: As given.
        operations: Its long-running operations.
    """

    def __init__(
        self, name: str, address: str, connection: grpc.aio.Channel, timeout: float
    ) -> None:
        self.name = name
        self.address = address
        self.channel = connection
        self.operations = Operations(connection, WaitPolicy(timeout_seconds=timeout))


class Session:
    """What a command works with; an asynchronous context manager that closes its channels.

    Args:
        settings: The global options.
        printer: Where results and progress go.

    Attributes:
        settings: The global options.
        printer: Where results and progress go.
    """

    def __init__(self, settings: Settings, printer: Printer) -> None:
        self.settings = settings
        self.printer = printer
        self._services: dict[str, Service] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for service in self._services.values():
            await service.channel.close()

    @property
    def slicer(self) -> Service:
        """The slicer."""
        return self._service("slicer", self.settings.slicer)

    @property
    def packer(self) -> Service:
        """The packer."""
        return self._service("packer", self.settings.packer)

    @property
    def models(self) -> models_pb2_grpc.ModelsAsyncStub:
        """The slicer's models, plans and fragments."""
        return models_pb2_grpc.ModelsStub(self.slicer.channel)

    @property
    def search(self) -> search_pb2_grpc.SearchAsyncStub:
        """The slicer's search for models."""
        return search_pb2_grpc.SearchStub(self.slicer.channel)

    @property
    def packs(self) -> packs_pb2_grpc.PacksAsyncStub:
        """The packer's packs."""
        return packs_pb2_grpc.PacksStub(self.packer.channel)

    @property
    def deployments(self) -> deployments_pb2_grpc.DeploymentsAsyncStub:
        """The packer's deployments."""
        return deployments_pb2_grpc.DeploymentsStub(self.packer.channel)

    def _service(self, name: str, address: str) -> Service:
        if name not in self._services:
            connection = channel(self.settings.client(address))
            self._services[name] = Service(name, address, connection, self.settings.timeout)
        return self._services[name]

    async def result(
        self,
        service: Service,
        call: Awaitable[operations_pb2.Operation],
        kind: type[M],
        title: str,
        interrupted: str = "",
    ) -> M:
        """Starts an operation, shows its progress, and returns its response.

        Args:
            service: Whose operation it is.
            call: The call that starts it.
            kind: The class of its response.
            title: What it does, for the progress.
            interrupted: What whoever stops waiting is told beside how to go on.

        Raises:
            ServiceError: The call, the operation, or waiting for it failed.
        """
        operation = await answer(call)
        return response_of(await self.wait(service, operation, title, interrupted), kind)

    async def wait(
        self,
        service: Service,
        operation: operations_pb2.Operation,
        title: str,
        interrupted: str = "",
    ) -> operations_pb2.Operation:
        """Waits until an operation is done; its progress survives lost connections.

        Whoever stops waiting, by Ctrl-C or because the service is away for too long, is told how
        to go on: the operation itself goes on.

        Args:
            service: Whose operation it is.
            operation: The operation.
            title: What it does, for the progress.
            interrupted: What whoever stops waiting is told beside how to go on.

        Raises:
            ServiceError: Waiting for it failed.
        """
        if operation.done:
            return operation
        try:
            with operation_progress(self.printer, title) as on_event:
                return await service.operations.wait(operation.name, on_event)
        except BaseException:
            self.printer.warn(
                f"{operation.name} goes on in the {service.name}. See how far it is with: "
                f"marketctl operations watch {operation.name}"
            )
            if interrupted:
                self.printer.warn(interrupted)
            raise


async def pages(
    method: Callable[[Any], Awaitable[Any]],
    request: Any,  # noqa: ANN401
    field: str,
) -> list[Any]:
    """Returns all items of a list, page after page.

    Args:
        method: The list method of a stub.
        request: Its request; the page token is set here.
        field: The field of the response with the items.

    Raises:
        ServiceError: A call failed.
    """
    items: list[Any] = []
    while True:
        response = await answer(method(request))
        items += getattr(response, field)
        if not response.next_page_token:
            return items
        request.page_token = response.next_page_token
