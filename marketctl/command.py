"""Makes Typer commands of coroutines that work with a session."""

from __future__ import annotations

import asyncio
import errno
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, get_type_hints

import typer
from sliceandpack.error.v1 import error_reason_pb2 as reasons

from marketctl.exit_codes import ExitCode, exit_code_of
from marketctl.options import flattened
from marketctl.session import Session
from marketctl.settings import Settings
from svckit.errors import DomainError, ServiceError, Unavailable, from_domain

Coroutine = Callable[..., Awaitable[None]]


def command(app: typer.Typer, name: str) -> Callable[[Coroutine], Coroutine]:
    """Adds a coroutine to a Typer application as a command.

    Args:
        app: The application.
        name: The command's name.

    Returns:
        A decorator for a coroutine whose first parameter is the session, and the others as
        `marketctl.options.flattened` takes them. The first line of its docstring is the help.
    """

    def add(function: Coroutine) -> Coroutine:
        help_text = (inspect.getdoc(function) or "").partition("\n\nArgs:")[0]
        app.command(name, help=help_text)(flattened(_synchronous(function)))
        return function

    return add


def _synchronous(function: Coroutine) -> Callable[..., None]:
    """Returns a function that takes Typer's context in place of the session."""
    hints = get_type_hints(function, include_extras=True)
    session, *others = inspect.signature(function).parameters.values()

    def run(context: typer.Context, **values: Any) -> None:  # noqa: ANN401
        perform(context.obj, lambda session: function(session, **values))

    first = session.replace(name="context", annotation=typer.Context)
    run.__signature__ = inspect.Signature([first, *others])  # type: ignore[attr-defined]
    run.__annotations__ = {"context": typer.Context} | {
        parameter.name: hints[parameter.name] for parameter in others
    }
    run.__name__ = function.__name__
    return run


def perform(session: Session, function: Callable[[Session], Awaitable[None]]) -> None:
    """Runs a coroutine to its end and turns its failure into a message and an exit code.

    Args:
        session: The session; closed afterwards.
        function: What to do with it.

    Raises:
        typer.Exit: It failed, or was interrupted.
    """

    async def run() -> None:
        async with session:
            await function(session)

    try:
        asyncio.run(run())
    except ServiceError as error:
        _fail(session, named(error, session.settings))
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # The reader of the output has gone; Typer ends quietly.
        _fail(session, local(error))
    except Exception as error:
        if not isinstance(error, DomainError):
            raise
        # Triton's client has errors of its own, with the same reasons.
        typed = from_domain(error.reason, error.message, error.advice, error.metadata)
        _fail(session, named(typed, session.settings))


def named(error: ServiceError, settings: Settings) -> ServiceError:
    """Returns the error of a call; of one that reached nobody, it says who was called.

    Args:
        error: The error.
        settings: Where the services are.
    """
    if not isinstance(error, Unavailable):
        return error
    for name in ("slicer", "packer", "triton"):
        address = getattr(settings, name)
        # gRPC's own text names the address that it tried.
        if address in error.message:
            return Unavailable(
                error.reason or reasons.ERROR_REASON_SERVICE_UNREACHABLE,
                f"The {name} at {address} cannot be reached: {error.message.rpartition(': ')[2]}.",
                advice=f"Start it with `marketctl up`, or say where it is with --{name}; see that "
                "both sides use TLS or neither does.",
                metadata={"service": name, "address": address},
            )
    return error


def local(error: OSError) -> ServiceError:
    """Returns the error of a file on this machine that cannot be read or written.

    Args:
        error: What the system said.
    """
    place = f"{error.filename}: " if error.filename else ""
    return ServiceError(
        reasons.ERROR_REASON_UNSPECIFIED,
        f"{place}{error.strerror or error}",
        advice="Check the path, its permissions, and the space on its disk.",
    )


def _fail(session: Session, error: ServiceError) -> None:
    session.printer.error(error)
    raise typer.Exit(exit_code_of(error.code)) from None
