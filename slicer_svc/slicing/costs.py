"""What a fragment costs, computed from the kept counts alone: no graph is cut for it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxgraph.cost import Cost, cost
from onnxgraph.groups import UnitGroup
from onnxgraph.operators.recurrence import GATES, RECURRENT_AXIS, RECURRENT_WEIGHT
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.pricing import Pricing


@dataclass(frozen=True)
class Price:
    """Parameters, MACs per sample, and bytes of initializers."""

    parameters: int
    macs: int
    bytes: int


class CostModel:
    """The cost of a model as a function of how many units every group keeps.

    An initializer shrinks with each of its axes that follows units, a linear node's MACs with its
    weight, those of a product of two computed values (of an attention head) with its output. So
    the figures are exact: those of the graph once it is cut.
    """

    def __init__(self, network: Network) -> None:
        whole = cost(network.model)
        readers = _first_readers(network)
        products = _products(network, whole, readers)
        self._groups = {group.id: place for place, group in enumerate(network.groups)}
        self._units = np.array([group.units for group in network.groups], dtype=np.float64)
        self._nodes = np.array([*(node for node, _ in readers.values()), *products])
        tensors = [_tensor(network, name) for name in readers] + [(0, 0, False)] * len(products)
        self._sizes = np.array([size if floating else 0 for size, _, floating in tensors])
        self._bytes = np.array([size for _, size, _ in tensors])
        by_product = [float(whole.by_node[node].macs) for node in products]
        self._macs = np.append(_macs_by_weight(network, whole, readers), by_product)
        self._other_macs = whole.macs - int(self._macs.sum())
        self._shares = _axis_shares(network, tuple(readers), products)

    def price(self, kept: Mapping[str, int]) -> Price:
        """The cost with `kept` units by group."""
        return self._price(np.prod(self._axes(kept), axis=1), self._other_macs)

    def group_price(self, group: UnitGroup, kept: Mapping[str, int]) -> Price:
        """The cost of the nodes that produce a group, with `kept` units by group.

        Of a node whose outputs are units of several groups (behind a Split), the part that produces
        this group's: so the prices of all groups add up to at most the model's.
        """
        place = self._groups[group.id]
        own = self._shares[:, :-1, place]
        produced = np.isin(self._nodes, group.producers)[:, None] & (own > 0)
        factors = self._axes(kept)
        part = own * (kept[group.id] / self._units[place])
        factors[:, :-1] = np.where(produced, part, factors[:, :-1])
        return self._price(np.where(produced.any(axis=1), np.prod(factors, axis=1), 0.0), 0)

    def _axes(self, kept: Mapping[str, int]) -> NDArray[np.float64]:
        """`(initializers and products, axes)`: what is left of each axis, as a share."""
        counts = np.array([kept[group] for group in self._groups], dtype=np.float64)
        left: NDArray[np.float64] = self._shares @ np.append(counts / self._units, 1.0)
        return left

    def _price(self, factors: NDArray[np.float64], other_macs: int) -> Price:
        return Price(
            parameters=round(float(self._sizes @ factors)),
            macs=round(float(self._macs @ factors)) + other_macs,
            bytes=round(float(self._bytes @ factors)),
        )

    def parameters(self) -> Pricing:
        """The parameters, to be spent."""
        return self._pricing(self._sizes, 0)

    def macs(self) -> Pricing:
        """The MACs, to be spent."""
        return self._pricing(self._macs, self._other_macs)

    def bytes(self) -> Pricing:
        """The bytes of initializers, to be spent."""
        return self._pricing(self._bytes, 0)

    def _pricing(self, weights: NDArray[np.float64], others: int) -> Pricing:
        """Prices by initializers that cost anything, and `others` that no group changes."""
        paid = np.flatnonzero(weights)
        free = np.zeros((1, *self._shares.shape[1:]))
        free[:, :, -1] = 1.0
        return Pricing(
            weights=np.append(weights[paid].astype(np.float64), float(others)),
            shares=np.concatenate([self._shares[paid], free]),
            units=self._units.astype(np.int64),
            grains=np.ones(len(self._units), dtype=np.int64),
        )


def _first_readers(network: Network) -> dict[str, tuple[str, int]]:
    """By initializer: the first node that reads it, and at which input."""
    readers: dict[str, tuple[str, int]] = {}
    for node in network.model.graph:
        for place, value in enumerate(node.inputs):
            if value is not None and value.is_initializer():
                readers.setdefault(str(value.name), (str(node.name), place))
    return readers


def _tensor(network: Network, name: str) -> tuple[int, int, bool]:
    """Elements, bytes, and whether it is floating."""
    tensor = network.model.graph.initializers[name].const_value
    assert tensor is not None
    return tensor.size, tensor.nbytes, tensor.dtype.is_floating_point()


def _macs_by_weight(
    network: Network, whole: Cost, readers: Mapping[str, tuple[str, int]]
) -> NDArray[np.float64]:
    """A linear node's MACs at its weight, input 1; 0 at all other initializers.

    Those of a recurrent node are shared out to W and R: each of their elements is used once a step.
    """
    recurrent = {node.name for node in network.model.graph if node.op_type in GATES}
    sizes: dict[str, int] = {}
    together: dict[str, int] = defaultdict(int)
    for name, (node, place) in readers.items():
        if place == 1 or (place == RECURRENT_WEIGHT and node in recurrent):
            sizes[name] = _tensor(network, name)[0]
            together[node] += sizes[name]
    macs = [
        whole.by_node[node].macs * sizes[name] // together[node]
        if name in sizes and node in whole.by_node
        else 0
        for name, (node, _) in readers.items()
    ]
    return np.array(macs, dtype=np.float64)


def _products(
    network: Network, whole: Cost, readers: Mapping[str, tuple[str, int]]
) -> dict[str, str]:
    """The outputs of nodes with MACs and no weight, by node."""
    weighted = {node for node, place in readers.values() if place == 1}
    products = {node: share.macs for node, share in whole.by_node.items() if node not in weighted}
    outputs = {str(node.name): str(node.outputs[0].name) for node in network.model.graph}
    return {node: outputs[node] for node, macs in products.items() if macs}


def _axis_shares(
    network: Network, names: tuple[str, ...], products: Mapping[str, str]
) -> NDArray[np.float64]:
    """`(initializers and products, axes, groups + 1)`: which share of an axis follows which group.

    The last group is none; the last axis is the one that a linear node contracts.
    """
    place = {name: number for number, name in enumerate((*names, *products.values()))}
    values = [[use for use in g.values if use.value in products.values()] for g in network.groups]
    axes = [use.axis for group in network.groups for use in group.parameters]
    axes += [use.axis for found in values for use in found]
    shares = np.zeros((len(place), max(axes, default=0) + 2, len(network.groups) + 1))
    for number, (group, outputs) in enumerate(zip(network.groups, values, strict=True)):
        for output in outputs:
            shares[place[output.value], output.axis, number] += float(np.mean(output.units >= 0))
        for use in group.parameters:
            shares[place[use.parameter], use.axis, number] += float(np.mean(use.units >= 0))
    numbers = {group.id: number for number, group in enumerate(network.groups)}
    for site in network.sites:
        for group_id, consumer in site.reads.items():
            share = consumer.positions.size / site.width
            shares[place[consumer.weight], -1, numbers[group_id]] += share
    for number, group in enumerate(network.groups):
        for recurrence in group.recurrences:
            width = network.model.graph.initializers[recurrence.weight].shape
            assert width is not None
            share = recurrence.positions.size / int(str(width[RECURRENT_AXIS]))
            shares[place[recurrence.weight], -1, number] += share
    shares[:, :, -1] = 1.0 - shares[:, :, :-1].sum(axis=2)
    return shares
