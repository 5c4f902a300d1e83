"""Graphs that several classes of a pack share: each is one branch, run and read once."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class Trunk:
    """One branch of a pack.

    Attributes:
        graph: ONNX with the outputs "features" and "scores".
        places: Of the fragments that have this graph, in the order of the pack.
    """

    graph: bytes
    places: tuple[int, ...]

    def serves(self, outputs: Sequence[int]) -> list[int]:
        """The pack's classes that it was cut for, each once.

        Args:
            outputs: The class of every fragment.
        """
        return list(dict.fromkeys(outputs[place] for place in self.places))


def trunks_of(graphs: Sequence[bytes]) -> list[Trunk]:
    """The different graphs among those of fragments, in the order in which they first come."""
    places: dict[bytes, list[int]] = {}
    for place, graph in enumerate(graphs):
        places.setdefault(graph, []).append(place)
    return [Trunk(graph, tuple(found)) for graph, found in places.items()]
