"""Progress of planning and slicing, reported through a plain callback."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One step forward.

    Attributes:
        phase: "measure" (activations), "curves" (sensitivity) or "slice".
        class_label: Index of the class being sliced; None outside of "slice", and where several are
            cut together.
        layer: Name of the node or unit group being worked on.
        done: Steps finished in this phase, over all classes asked for.
        total: Steps of this phase, over all classes asked for.
    """

    phase: str
    class_label: int | None
    layer: str
    done: int
    total: int


Report = Callable[[Progress], None]
"""Receives progress; an exception that it raises ends the work."""


Step = Callable[[str], None]
"""Told the name of every node or group that is finished."""


def ignore(progress: Progress) -> None:
    """The report of a caller who does not watch."""
    del progress
