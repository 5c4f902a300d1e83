"""``marketctl operations``: long-running work of both services."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from google.longrunning import operations_pb2, operations_pb2_grpc
from sliceandpack.operation.v1 import operation_events_pb2 as pb

from marketctl.columns import Column, duration, last, moment
from marketctl.command import command
from marketctl.names import condition, full_name
from marketctl.progress import step_text
from marketctl.session import Service, Session, pages
from svckit.errors import NotFound, ServiceError, Unavailable
from svckit.status import from_status

app = typer.Typer(
    name="operations", help="Long-running work of slicer and packer.", no_args_is_help=True
)

OperationName = Annotated[str, typer.Argument(metavar="OPERATION", help="operations/o-1, or o-1.")]


def _metadata(operation: operations_pb2.Operation) -> pb.OperationMetadata:
    metadata = pb.OperationMetadata()
    operation.metadata.Unpack(metadata)
    return metadata


def _state(operation: operations_pb2.Operation) -> str:
    return pb.State.Name(_metadata(operation).state).removeprefix("STATE_").lower()


def _done(operation: operations_pb2.Operation) -> str:
    progress = _metadata(operation).progress
    return f"{progress.done}/{progress.total}" if progress.total else ""


COLUMNS = (
    Column("OPERATION", lambda operation: operation.name),
    Column("KIND", lambda operation: _metadata(operation).kind, spare=True),
    Column("ABOUT", lambda operation: _metadata(operation).target),
    Column("STATE", _state),
    Column("DONE", _done, True, spare=True),
    Column("ASKED FOR", lambda operation: moment(_metadata(operation).create_time), spare=True),
)


@command(app, "list")
async def list_operations(
    session: Session,
    state: Annotated[
        str | None, typer.Option(help="Only those in this state, such as RUNNING.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Only those of this kind, such as SliceModel.")
    ] = None,
) -> None:
    """List the operations of both services, newest first."""
    wanted = condition(state=state.upper() if state else None, kind=kind)
    found, missing = [], []
    for service in (session.slicer, session.packer):
        stub = operations_pb2_grpc.OperationsStub(service.channel)
        request = operations_pb2.ListOperationsRequest(filter=wanted)
        try:
            found += await pages(stub.ListOperations, request, "operations")
        except Unavailable as error:
            missing.append((service, error))
    if len(missing) == 2:
        raise missing[0][1]
    for service, _ in missing:
        session.printer.warn(
            f"Without those of the {service.name}, which does not answer at {service.address}."
        )
    found.sort(key=lambda operation: -_metadata(operation).create_time.ToNanoseconds())
    session.printer.many(found, COLUMNS)


@command(app, "show")
async def show(session: Session, operation: OperationName) -> None:
    """Show an operation as it stands."""
    _, found = await _find(session, operation)
    session.printer.one(found, _facts(found))


@command(app, "watch")
async def watch(session: Session, operation: OperationName) -> None:
    """Watch an operation until it is done; fails as the operation does."""
    service, found = await _find(session, operation)
    metadata = _metadata(found)
    done = await session.wait(service, found, f"{metadata.kind} {last(metadata.target)}".strip())
    if done.HasField("error"):
        raise from_status(done.error)
    session.printer.one(done, _facts(done))


@command(app, "cancel")
async def cancel(session: Session, operation: OperationName) -> None:
    """Cancel an operation; what is finished of it is kept."""
    service, found = await _find(session, operation)
    if found.done:
        session.printer.done(found.name, f"is done already ({_state(found)})")
        return
    await service.operations.cancel(found.name)
    session.printer.done(found.name, "is being cancelled")


async def _find(session: Session, name: str) -> tuple[Service, operations_pb2.Operation]:
    """Returns the service that has an operation, and the operation.

    Raises:
        NotFound: Neither has it.
        Unavailable: One does not answer, and the other does not have it.
    """
    name = full_name("operations", name)
    waiting = {
        asyncio.create_task(service.operations.get(name)): service
        for service in (session.slicer, session.packer)
    }
    failures: list[ServiceError] = []
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                service = waiting.pop(task)
                try:
                    return service, task.result()
                except ServiceError as error:
                    failures.append(error)
    finally:
        for task in waiting:
            task.cancel()
    # A service that does not answer may be the one that has it.
    raise next((error for error in failures if not isinstance(error, NotFound)), failures[0])


def _facts(operation: operations_pb2.Operation) -> list[tuple[str, str]]:
    metadata = _metadata(operation)
    step = metadata.progress
    error = from_status(operation.error) if operation.HasField("error") else None
    return [
        ("operation", operation.name),
        ("kind", metadata.kind),
        ("about", metadata.target),
        ("state", _state(operation)),
        ("done", _done(operation)),
        ("works on", "" if operation.done else step_text(step)),
        (
            "about to take",
            duration(step.eta_seconds)
            if not operation.done and step.total and step.eta_seconds >= 0
            else "",
        ),
        ("attempts", str(metadata.attempt) if metadata.attempt > 1 else ""),
        ("error", f"{error.message} [{error.reason_name}]" if error else ""),
        ("what to do", error.advice if error else ""),
        ("asked for", moment(metadata.create_time)),
        ("started", moment(metadata.start_time)),
        ("ended", moment(metadata.end_time)),
    ]
