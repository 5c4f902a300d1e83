"""A copy of a model whose linear nodes can be given new matrices while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from onnxgraph.groups import Consumer, UnitGroup
from onnxgraph.linear import weight_matrix, with_weight_matrix
from onnxgraph.view import TorchView
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.walk import Route


@dataclass(frozen=True)
class Site:
    """One linear node that reads cuttable units: where their repair stands.

    Attributes:
        node: The node's name.
        value: The value that it reads.
        axis: The axis of that value which it contracts.
        width: Places on that axis.
        place: The node's place in the graph's order.
        reads: By group, where that group's units stand on the axis. Behind a Concat there are
            several groups.
    """

    node: str
    value: str
    axis: int
    width: int
    place: int
    reads: Mapping[str, Consumer]


def sites(groups: tuple[UnitGroup, ...], route: Route) -> tuple[Site, ...]:
    """The sites of all groups from the front to the back."""
    reads: dict[str, dict[str, Consumer]] = {}
    widths: dict[tuple[str, int], int] = {}
    for group in groups:
        widths.update({(axis.value, axis.axis): len(axis.units) for axis in group.values})
        for consumer in group.consumers:
            reads.setdefault(consumer.node, {})[group.id] = consumer
    found = []
    for node, by_group in reads.items():
        first = next(iter(by_group.values()))
        value, axis = first.value, first.unit_axis
        found.append(Site(node, value, axis, widths[value, axis], route.place(node), by_group))
    return tuple(sorted(found, key=lambda site: site.place))


class Workbench:
    """A working copy of a model together with a view that computes it.

    Matrices are set at full width: a dropped unit is one whose rows are zero. So nothing but
    weights changes until the units are really cut, and every value keeps its shape.
    """

    def __init__(self, model: ir.Model) -> None:
        self.model = model.clone()
        self.view = TorchView(self.model)
        self._seen = self._tensors()

    def matrix(self, node: str) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """The node's matrix `(k, out)` and bias `(out,)` as they are now, in float64."""
        weight, bias = weight_matrix(self.model, node)
        return weight.astype(np.float64), None if bias is None else bias.astype(np.float64)

    def set_matrix(
        self, node: str, weight: NDArray[np.float64], bias: NDArray[np.float64] | None
    ) -> None:
        """Gives a node another matrix, and another bias unless it is None.

        A bias is only given to a node that has one of the same shape.
        """
        with_weight_matrix(self.model, node, weight, bias)
        for name, tensor in self._tensors().items():
            if tensor is not self._seen[name]:
                with torch.no_grad():
                    self.view.tensor(name).copy_(torch.from_numpy(np.array(tensor.numpy())))
                self._seen[name] = tensor

    def _tensors(self) -> dict[str, ir.TensorProtocol]:
        initializers = self.model.graph.initializers
        return {
            name: value.const_value
            for name, value in initializers.items()
            if value.const_value is not None
        }


def folded(
    weight: NDArray[np.float64], site: Site, repairs: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.float64]:
    """A node's matrix with the repairs of its groups folded in, at full width.

    W′[s] = Σ_j R[j, s]·W[j] for every kept unit s, over all kernel positions and places of a
    block; rows of dropped units are zero (ALGORITHM.md, section 4).

    Args:
        weight: The node's matrix `(k, out)`, k channel-major over places and kernel positions.
        site: Where the groups' units stand.
        repairs: By group, R as `(u, u)`: columns of dropped units are zero.

    Returns:
        The folded matrix `(k, out)`.
    """
    taps = weight.reshape(site.width, -1)
    result = taps.copy()
    for group, repair in repairs.items():
        for places in site.reads[group].positions.T:
            result[places] = repair.T @ taps[places]
    return result.reshape(weight.shape)


def kept_places(site: Site, kept: Mapping[str, Units]) -> Units:
    """Places on a site's axis that are left once its groups are cut to `kept`, sorted."""
    left = np.ones(site.width, dtype=np.bool_)
    for group, consumer in site.reads.items():
        left[consumer.positions] = False
        left[consumer.positions[kept[group]]] = True
    return np.flatnonzero(left).astype(np.int64)


def rows_of(places: Units, site: Site, rows: int) -> Units:
    """Rows of the site's matrix `(rows, out)` that belong to the given places."""
    taps = rows // site.width
    return np.asarray((places[:, None] * taps + np.arange(taps)).ravel(), dtype=np.int64)
