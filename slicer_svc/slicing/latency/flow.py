"""How much of what every node reads and writes is left once groups are cut."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from slicer_svc.slicing.network import Network

Shares = NDArray[np.float64]
"""`(axes, groups + 1)`: which share of an axis follows which group, and none (the last)."""


@dataclass(frozen=True, eq=False)
class NodeFlow:
    """The shares of one node.

    Attributes:
        read: Those of the axes of its first computed input that follow groups.
        written: Those of its first output.
    """

    read: Shares
    written: Shares


class Flows:
    """The flows of a network's nodes.

    Args:
        network: The model.
    """

    def __init__(self, network: Network) -> None:
        self._width = len(network.groups) + 1
        self._axes: dict[str, dict[int, NDArray[np.float64]]] = {}
        for place, group in enumerate(network.groups):
            for use in group.values:
                rows = self._axes.setdefault(use.value, {})
                row = rows.setdefault(use.axis, np.zeros(self._width))
                row[place] += float(np.mean(use.units >= 0))
        for rows in self._axes.values():
            for row in rows.values():
                row[-1] = 1.0 - row[:-1].sum()

    def of(self, node: ir.Node) -> NodeFlow:
        """The shares of what a node reads and writes."""
        data = next((v for v in node.inputs if v is not None and not v.is_initializer()), None)
        return NodeFlow(self.of_value(data), self.of_value(node.outputs[0]))

    def of_value(self, value: ir.Value | None) -> Shares:
        """The shares of one value's axes; no rows where no axis follows a group."""
        rows = {} if value is None else self._axes.get(str(value.name), {})
        return np.array([rows[axis] for axis in sorted(rows)]).reshape(-1, self._width)


def left(shares: Shares, ratios: NDArray[np.float64]) -> float:
    """The share of a value that is left with the given ratios of groups, `(groups,)`."""
    return float(np.prod(shares @ np.append(ratios, 1.0)))
