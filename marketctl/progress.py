"""Progress on stderr: bars on a terminal, plain lines elsewhere, nothing where it is quiet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.cells import cell_len
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from sliceandpack.operation.v1 import operation_events_pb2 as pb

from marketctl.columns import duration, size
from marketctl.output import Printer, readable
from svckit.clients.operations import OnEvent
from svckit.clients.transfer import OnProgress

_BAR: Final = 14
"""How wide a bar is, cells."""
_LEAST_LAYER: Final = 6
_WAITS: Final = "waits for its turn"


@contextmanager
def transfer_progress(printer: Printer, title: str) -> Iterator[OnProgress]:
    """Shows how far an upload or a download is.

    Args:
        printer: Where to show it.
        title: What is moved.
    """
    if printer.quiet or not printer.errors.is_terminal:
        line = _TransferLine(printer, title)
        yield line.progress
        line.finished()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(True))
    with Progress(*columns, TransferSpeedColumn(), console=printer.errors) as progress:
        task = progress.add_task(readable(title), total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield show


class _TransferLine:
    """One line at the end of a transfer, for those who read a log."""

    def __init__(self, printer: Printer, title: str) -> None:
        self._printer = printer
        self._title = title
        self._total = 0

    def progress(self, _done: int, total: int) -> None:
        self._total = total

    def finished(self) -> None:
        moved = size(self._total) if self._total else "nothing to send, it is there already"
        self._printer.note(f"{self._title}: {moved}")


@contextmanager
def operation_progress(printer: Printer, title: str) -> Iterator[OnEvent]:
    """Shows how far an operation is.

    Args:
        printer: Where to show it.
        title: What the operation does.
    """
    if printer.quiet or not printer.errors.is_terminal:
        yield _Lines(printer, title).event
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(_BAR),
        TextColumn("{task.fields[rest]}", table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=printer.errors) as progress:
        room = printer.errors.width - cell_len(_WAITS) - _BAR - 2
        task = progress.add_task(fitting(title, pb.Progress(), room), total=None, rest=_WAITS)

        def show(event: pb.OperationEvent) -> None:
            _update(progress, task, title, event)

        yield show


def _update(progress: Progress, task: TaskID, title: str, event: pb.OperationEvent) -> None:
    step = event.progress
    rest = ""
    if event.state == pb.STATE_QUEUED:
        rest = _WAITS
    elif step.eta_seconds >= 0 and step.total:
        rest = f"{step.done}/{step.total}, about {duration(step.eta_seconds)} more"
    room = progress.console.width - cell_len(rest) - _BAR - 2
    progress.update(
        task,
        description=fitting(title, step, room),
        completed=step.done,
        total=step.total or None,
        rest=rest,
    )


def fitting(title: str, step: pb.Progress, room: int) -> str:
    """Returns what an operation works on, in the room that its bar and its figures leave.

    Of a layer's name the end is kept, which tells more; then the layer is left out.

    Args:
        title: What the operation does.
        step: How far it is.
        room: How many cells there are.
    """
    where = ", ".join(part for part in (step.phase, step.class_label) if part)
    known = readable(f"{title}: {where}" if where else title)
    layer = readable(step.layer)
    left = room - cell_len(known) - 2
    if layer and where and left >= _LEAST_LAYER:
        return f"{known}, {layer if cell_len(layer) <= left else '…' + layer[1 - left :]}"
    return known if cell_len(known) <= room else known[: max(room - 1, 1)] + "…"


class _Lines:
    """A line for each new state, phase and class; a line a layer would drown a log."""

    def __init__(self, printer: Printer, title: str) -> None:
        self._printer = printer
        self._title = title
        self._said: tuple[object, ...] = ()

    def event(self, event: pb.OperationEvent) -> None:
        step = event.progress
        now = (event.state, step.phase, step.class_label)
        if now == self._said:
            return
        self._said = now
        state = pb.State.Name(event.state).removeprefix("STATE_").lower()
        if event.state == pb.STATE_RUNNING and step.total:
            where = ", ".join(part for part in (step.phase, step.class_label) if part)
            state = f"{state} {step.done}/{step.total} {where}".rstrip()
        self._printer.note(f"{self._title}: {state}")


def step_text(step: pb.Progress) -> str:
    """Returns the phase, the class and the layer that are worked on, in one line.

    Args:
        step: How far an operation is.
    """
    return ", ".join(part for part in (step.phase, step.class_label, step.layer) if part)
