"""The measured times of a model's nodes on one machine, as kept beside its curves."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from slicer_svc.slicing.errors import invalid_field


@dataclass(frozen=True)
class Point:
    """One measurement of one node.

    Attributes:
        read: Share of the whole model's that is left of what the node reads.
        written: Share of the whole model's that is left of what it writes.
        ms: Milliseconds that the node takes for one sample.
    """

    read: float
    written: float
    ms: float


@dataclass(frozen=True)
class Version:
    """One measurement of a version of the model that all groups are cut in alike.

    Attributes:
        kept: Units kept, by group.
        ms: Milliseconds that it takes for one sample.
    """

    kept: Mapping[str, int]
    ms: float


@dataclass(frozen=True)
class LatencyTable:
    """Times of one model on one machine, for one sample on one thread.

    Attributes:
        machine: The processor and the runtime that were measured (`machine.machine_name`).
        versions: The whole model, then ever smaller versions of it.
        nodes: By name of each node that multiplies and accumulates, its measurements, the whole
            node's first.
    """

    machine: str
    versions: tuple[Version, ...]
    nodes: Mapping[str, tuple[Point, ...]]

    @property
    def whole_ms(self) -> float:
        """Milliseconds of the whole model."""
        return self.versions[0].ms

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            SlicingError: FIELD_INVALID where the data is no table.
        """
        try:
            nodes = {
                str(node): tuple(Point(**point) for point in points)
                for node, points in data["nodes"].items()
            }
            versions = tuple(Version(**version) for version in data["versions"])
            return cls(str(data["machine"]), versions, nodes)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise invalid_field("latency", str(error), "Leave it out to measure anew.") from error
