"""Tells what is wrong with a folder that is read all the same."""

from __future__ import annotations

from marketctl.command import local
from marketctl.output import Printer
from svckit.errors import InvalidArgument


class PrintedComplaints:
    """Prints what is wrong with a folder, and counts the pictures that could not be read.

    Args:
        printer: Where to print.

    Attributes:
        count: Pictures that could not be read.
    """

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self.count = 0

    def warn(self, text: str) -> None:
        """Tells which files of a folder are passed over."""
        self._printer.warn(text)

    def unreadable(self, error: InvalidArgument | OSError) -> None:
        """Tells of a picture of a folder that cannot be read."""
        self.count += 1
        self._printer.error(local(error) if isinstance(error, OSError) else error)
