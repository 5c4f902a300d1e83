"""The working copy of the paper's path: repairs stand in it as layers of their own (Eq. 9, 10)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from onnxgraph.groups import Consumer, Recurrence, UnitGroup
from onnxgraph.lookup import nodes_by_name, unused_name
from onnxgraph.view import TorchView
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.repairs import Units
from slicer_svc.slicing.walk import Route

Patch = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Restoring:
    """l_i at one consumer: all of a group's units, made of the kept ones alone.

    Attributes:
        consumer: Where the units stand.
        places: Their places on the consumer's axis, int64 `(u, block)`.
        kept: Those of the kept units, int64 `(s, block)`.
        matrix: R, `(u, s)`.
    """

    consumer: Consumer
    places: Tensor
    kept: Tensor
    matrix: Tensor

    def __call__(self, value: Tensor) -> Tensor:
        """What the consumer reads, with the units restored; differentiable in value and matrix."""
        axis, places = self.consumer.unit_axis, self.places
        moved = value.movedim(axis, 1)
        kept = moved[:, self.kept].flatten(start_dim=2)
        units = torch.matmul(self.matrix, kept).unflatten(2, (places.shape[1], *moved.shape[2:]))
        flat = units.flatten(start_dim=1, end_dim=2)
        return moved.index_copy(1, places.reshape(-1), flat).movedim(1, axis)


@dataclass(frozen=True, eq=False)
class Remembering:
    """l_i in front of a recurrent node's own states: it stands within R, for nothing else is there.

    Attributes:
        recurrence: Where the units stand.
        places: Their places on R's last axis, int64 `(u, block)`.
        kept: Those of the kept units, int64 `(s, block)`.
        matrix: `(u, s)`.
    """

    recurrence: Recurrence
    places: Tensor
    kept: Tensor
    matrix: Tensor

    def __call__(self, weight: Tensor) -> Tensor:
        """R that reads kept states alone, of R's shape; differentiable in R and matrix."""
        columns = torch.einsum("rgub,us->rgsb", weight[..., self.places], self.matrix)
        blank = torch.zeros_like(weight)
        return blank.index_copy(-1, self.kept.reshape(-1), columns.flatten(start_dim=2))


class Assembly:
    """A trainable copy of a model in which every consumer of units reads through a tap.

    A tap is an Identity in front of one consumer: a repair can stand there without touching what
    else reads the same value (a residual branch). Groups that are finished have their repairs in
    place at their taps, so that later layers are trained behind them.

    Attributes:
        model: The graph with its taps; weights as in the original.
        route: The order of its nodes.
        view: What is trained and run.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        self._network = network
        self.model = network.model.clone()
        self._taps = {site.node: _tap(self.model, site.node) for site in network.sites}
        self.route = Route(self.model)
        self.view = TorchView(self.model).to(device)
        self.view.requires_grad_(False)
        self._finished: dict[str, list[Restoring]] = {node: [] for node in self._taps}
        self._remembered: list[Remembering] = []

    @property
    def feature(self) -> str:
        """The value that the classifier reads, repaired where its units are cut."""
        classifier = self._network.classifier
        return self._taps.get(classifier.node, classifier.feature)

    @property
    def scores(self) -> str:
        """The value that holds the class scores."""
        return self._network.classifier.scores

    def tap(self, consumer: Consumer) -> str:
        """The value at which a consumer's repair stands."""
        return self._taps[consumer.node]

    def start(self, group: UnitGroup) -> int:
        """The place of the first node of m_i: nothing in front of it depends on the group."""
        return min(self.route.place(node) for node in group.producers)

    def run(
        self,
        inputs: Mapping[str, Tensor],
        fetch: Sequence[str],
        *,
        start: Mapping[str, Tensor],
        repairs: Sequence[Restoring | Remembering] = (),
    ) -> dict[str, Tensor]:
        """Computes values with all finished repairs in place.

        Args:
            inputs: Graph inputs by name.
            fetch: The values wanted.
            start: Values already known, with the finished repairs in front of them in place.
            repairs: Further repairs.

        Returns:
            The values by name.
        """
        patches: dict[str, Patch] = {}
        further = {r.consumer.node: r for r in repairs if isinstance(r, Restoring)}
        for node, finished in self._finished.items():
            extra = [further[node]] if node in further else []
            if finished or extra:
                patches[self._taps[node]] = _chain([*finished, *extra])
        remembered = [*self._remembered, *(r for r in repairs if isinstance(r, Remembering))]
        folded = {r.recurrence.weight: r(self.view.tensor(r.recurrence.weight)) for r in remembered}
        return self.view.run(inputs, fetch=fetch, patch=patches, start={**start, **folded})

    def combine(self, repairs: Sequence[Restoring | Remembering]) -> None:
        """Combination (Eq. 9, 10): a group's repairs stay in place while later layers are trained.

        Args:
            repairs: One per consumer and recurrence of the group.
        """
        for repair in repairs:
            if isinstance(repair, Restoring):
                self._finished[repair.consumer.node].append(repair)
            else:
                self._remembered.append(repair)


def _chain(repairs: Sequence[Restoring]) -> Patch:
    """All repairs of one tap after each other: behind a Concat each has its own places."""

    def patch(value: Tensor) -> Tensor:
        for repair in repairs:
            value = repair(value)
        return value

    return patch


def _tap(model: ir.Model, consumer: str) -> str:
    """Puts an Identity in front of a linear node's data, in place; its output's name."""
    node = nodes_by_name(model.graph)[consumer]
    data = node.inputs[0]
    assert data is not None
    name = unused_name(model.graph, f"{consumer}_tap")
    output = ir.Value(name=name, type=data.type, shape=data.shape)
    model.graph.insert_before(node, ir.node("Identity", [data], outputs=[output], name=name))
    node.replace_input_with(0, output)
    return name


def restoring(
    group: UnitGroup, kept: Units, matrices: Mapping[str, Tensor]
) -> tuple[Restoring | Remembering, ...]:
    """The repairs of a group as layers, one for each of its consumers and recurrences.

    Args:
        group: The group.
        kept: Its kept units, sorted `(s,)`.
        matrices: By consumer node, and by the keys of recurrences, R as `(u, s)`.
    """
    found: list[Restoring | Remembering] = []
    for consumer in group.consumers:
        matrix = matrices[consumer.node]
        found.append(Restoring(consumer, *_places(consumer, kept, matrix), matrix))
    for recurrence in group.recurrences:
        matrix = matrices[recurrence.key]
        found.append(Remembering(recurrence, *_places(recurrence, kept, matrix), matrix))
    return tuple(found)


def _places(reader: Consumer | Recurrence, kept: Units, matrix: Tensor) -> tuple[Tensor, Tensor]:
    places = torch.from_numpy(np.array(reader.positions)).to(matrix.device)
    return places, places[torch.from_numpy(kept).to(matrix.device)]
