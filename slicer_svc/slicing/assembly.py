"""The working copy of the paper's path: repairs stand in it as layers of their own (Eq. 9, 10)."""

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onnxgraph.groups import Consumer, UnitGroup
from onnxgraph.lookup import nodes_by_name, unused_name
from onnxgraph.parameters import set_parameter
from onnxgraph.surgery import Cut, Repair, cut
from onnxgraph.view import TorchView
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.repairs import Units, mixed

Patch = Callable[[Tensor], Tensor]


class Assembly:
    """A trainable copy of a model in which every consumer of units reads through a tap.

    A tap is an Identity in front of one consumer: a repair can stand there without touching what
    else reads the same value (a residual branch). Groups that are finished have their repairs in
    place at their taps, so that later layers are trained behind them: the combination of Eq. 9
    and 10, layer by layer from the front.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        model = network.model.clone()
        self._taps = {site.node: _tap(model, site.node) for site in network.sites}
        self.view = TorchView(model)
        self.view.requires_grad_(False)
        self._finished: dict[str, list[tuple[Consumer, Tensor]]] = {node: [] for node in self._taps}
        self._cuts: list[tuple[UnitGroup, Units, dict[str, NDArray[np.float64]]]] = []

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

    def frozen(self) -> "Assembly":
        """A copy that further training does not change."""
        other = copy.copy(self)
        other.view = copy.deepcopy(self.view)
        other._finished = {node: list(found) for node, found in self._finished.items()}
        return other

    def producers(self, group: UnitGroup) -> list[nn.Parameter]:
        """The parameters of the layer m_i that computes a group's units."""
        names = {use.parameter for use in group.parameters if use.node in group.producers}
        found = [self.view.tensor(name) for name in sorted(names)]
        return [tensor for tensor in found if isinstance(tensor, nn.Parameter)]

    def run(
        self,
        inputs: Mapping[str, Tensor],
        fetch: Sequence[str],
        *,
        repairs: Mapping[str, tuple[Consumer, Tensor]] | None = None,
        patch: Mapping[str, Patch] | None = None,
    ) -> dict[str, Tensor]:
        """Computes values with all finished repairs in place.

        Args:
            inputs: Graph inputs by name.
            fetch: The values wanted.
            repairs: Further repairs, by consumer node, R as `(u, u)`.
            patch: Further functions on values.

        Returns:
            The values by name.
        """
        patches = dict(patch or {})
        for node, finished in self._finished.items():
            extra = [repairs[node]] if repairs is not None and node in repairs else []
            if finished or extra:
                patches[self._taps[node]] = _chain([*finished, *extra])
        return self.view.run(inputs, fetch=fetch, patch=patches)

    def finish(
        self, group: UnitGroup, kept: Units, repairs: Mapping[str, NDArray[np.float64]]
    ) -> None:
        """Puts a group's repairs in place for good.

        Args:
            group: The group.
            kept: Its kept units, sorted `(s,)`.
            repairs: By consumer node, R as `(u, s)`.
        """
        self._cuts.append((group, kept, dict(repairs)))
        for consumer in group.consumers:
            full = np.zeros((group.units, group.units), dtype=np.float32)
            full[:, kept] = repairs[consumer.node]
            self._finished[consumer.node].append((consumer, torch.from_numpy(full)))

    def fused(self) -> ir.Model:
        """The original with the trained layers, its groups cut and their repairs fused."""
        model = self._network.model.clone()
        nodes = nodes_by_name(model.graph)
        for group, _, _ in self._cuts:
            for use in group.parameters:
                if use.node in group.producers:
                    trained = self.view.tensor(use.parameter).detach().numpy()
                    set_parameter(model, nodes[use.node], use.input, trained)
        for group, kept, repairs in self._cuts:
            fusible = {node: Repair(matrix) for node, matrix in repairs.items()}
            model = cut(model, group, Cut(kept, fusible))
        return model


def _chain(repairs: Sequence[tuple[Consumer, Tensor]]) -> Patch:
    """All repairs of one tap after each other: behind a Concat each has its own places."""

    def patch(value: Tensor) -> Tensor:
        for consumer, matrix in repairs:
            value = mixed(value, consumer, matrix)
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
