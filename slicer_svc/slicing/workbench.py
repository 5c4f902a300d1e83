"""A copy of a model whose linear nodes can be given new matrices while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from onnxgraph.groups import Consumer, Recurrence, UnitGroup
from onnxgraph.linear import weight_matrix, with_weight_matrix
from onnxgraph.lookup import constant_of, node_named
from onnxgraph.operators.recurrence import RECURRENT_WEIGHT
from onnxgraph.parameters import set_parameter
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
        sample_axis: The axis of that value along which samples lie: 0, but behind a recurrent
            layer often 1.
        width: Places on that axis.
        place: The node's place in the graph's order.
        reads: By group, where that group's units stand on the axis. Behind a Concat there are
            several groups.
    """

    node: str
    value: str
    axis: int
    sample_axis: int
    width: int
    place: int
    reads: Mapping[str, Consumer]

    @property
    def weight(self) -> str:
        """The initializer that holds the node's matrix."""
        return next(iter(self.reads.values())).weight


@dataclass(frozen=True)
class RecurrentTap:
    """One recurrent node with cuttable units: where what it reads of itself is repaired.

    Attributes:
        node: The node's name.
        group: The group of its units.
        value: Its states, units on the last axis.
        sample_axis: The axis of the states along which samples lie.
        place: The node's place in the graph's order.
    """

    node: str
    group: str
    value: str
    sample_axis: int
    place: int


def recurrent_taps(groups: tuple[UnitGroup, ...], route: Route) -> tuple[RecurrentTap, ...]:
    """The recurrent nodes of all groups from the front to the back."""
    found = [
        RecurrentTap(
            node=recurrence.node,
            group=group.id,
            value=recurrence.value,
            sample_axis=recurrence.sample_axis,
            place=route.place(recurrence.node),
        )
        for group in groups
        for recurrence in group.recurrences
    ]
    return tuple(sorted(found, key=lambda tap: tap.place))


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
        found.append(
            Site(
                node=node,
                value=value,
                axis=axis,
                sample_axis=first.sample_axis,
                width=widths[value, axis],
                place=route.place(node),
                reads=by_group,
            )
        )
    return tuple(sorted(found, key=lambda site: site.place))


class Workbench:
    """A working copy of a model together with a view that computes it.

    Nothing but weights changes, so every value keeps its shape.
    """

    def __init__(self, model: ir.Model) -> None:
        self.model = model.clone()
        self.view = TorchView(self.model)
        self._seen = self._tensors()
        self._places = {str(node.name): place for place, node in enumerate(self.model.graph)}

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
        self._publish()

    def recurrent_matrix(self, recurrence: Recurrence) -> NDArray[np.float64]:
        """R of a recurrent node as it is now, `(1, gates · H, H)`."""
        tensor = constant_of(node_named(self.model, recurrence.node).inputs[RECURRENT_WEIGHT])
        assert tensor is not None
        return tensor.numpy().astype(np.float64)

    def set_recurrent_matrix(self, recurrence: Recurrence, weight: NDArray[np.float64]) -> None:
        """Gives a recurrent node another R."""
        node = node_named(self.model, recurrence.node)
        set_parameter(self.model, node, RECURRENT_WEIGHT, weight)
        self._publish()

    def _publish(self) -> None:
        """Gives the view what has changed."""
        for name, tensor in self._tensors().items():
            if tensor is not self._seen[name]:
                with torch.no_grad():
                    self.view.tensor(name).copy_(torch.from_numpy(np.array(tensor.numpy())))
                self._seen[name] = tensor

    def change(
        self, node: str, weight: NDArray[np.float64], shift: NDArray[np.float64] | None
    ) -> None:
        """Gives a node another matrix, and adds to its bias where there is a shift."""
        bias = None
        if shift is not None:
            old = self.matrix(node)[1]
            assert old is not None
            bias = old + shift
        self.set_matrix(node, weight, bias)

    def place(self, node: str) -> int:
        """The node's place in the graph's order."""
        return self._places[node]

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


def folded_states(
    weight: NDArray[np.float64], recurrence: Recurrence, repair: NDArray[np.float64]
) -> NDArray[np.float64]:
    """R of a recurrent node with the repair of its states folded in, at full width.

    Args:
        weight: R, `(1, gates · H, H)`.
        recurrence: Where the units stand.
        repair: `(u, u)`: columns of dropped units are zero.
    """
    result = weight.copy()
    for places in recurrence.positions.T:
        result[..., places] = weight[..., places] @ repair
    return result


def kept_places(site: Site, kept: Mapping[str, Units]) -> Units:
    """Places on a site's axis that are left once its groups are cut to `kept`, sorted."""
    left = np.ones(site.width, dtype=np.bool_)
    for group, consumer in site.reads.items():
        left[consumer.positions] = False
        left[consumer.positions[kept[group]]] = True
    return np.flatnonzero(left).astype(np.int64)


def kept_columns(
    groups: tuple[UnitGroup, ...], site: Site, outputs: int, kept: Mapping[str, Units]
) -> Units:
    """Outputs of a site's node that are left once all groups are cut to `kept`, sorted."""
    left = np.ones(outputs, dtype=np.bool_)
    for group in groups:
        for use in group.parameters:
            if use.node == site.node and use.parameter == site.weight:
                left &= (use.units < 0) | np.isin(use.units, kept[group.id])
    return np.flatnonzero(left).astype(np.int64)


def bias_by_output(model: ir.Model, site: Site, outputs: int) -> bool:
    """Whether a site's node has a bias with a number for each of its outputs."""
    bias = next(iter(site.reads.values())).bias
    value = None if bias is None else model.graph.initializers.get(bias)
    tensor = None if value is None else value.const_value
    return tensor is not None and (tensor.size > 1 or outputs == 1)


def rows_of(places: Units, site: Site, rows: int) -> Units:
    """Rows of the site's matrix `(rows, out)` that belong to the given places."""
    taps = rows // site.width
    return np.asarray((places[:, None] * taps + np.arange(taps)).ravel(), dtype=np.int64)
