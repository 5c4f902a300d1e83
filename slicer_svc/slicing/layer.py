"""The layer m_i of the paper: the parameters that compute a group's units, and their training."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from onnxgraph.groups import UnitGroup
from onnxgraph.lookup import nodes_by_name
from onnxgraph.parameters import bias_add
from slicer_svc.slicing.assembly import Assembly
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.repairs import Units


class Layer:
    """Parameters of the nodes that produce a group's units (the Add behind a MatMul included).

    A unit's output depends on its own places of these parameters alone, so units of one layer can
    be trained, kept and put back one by one.
    """

    def __init__(self, assembly: Assembly, group: UnitGroup) -> None:
        self._group = group
        self._uses = [
            use for use in group.parameters if use.node in layer_nodes(assembly.model, group)
        ]
        self._tensors: dict[str, nn.Parameter] = {}
        for use in self._uses:
            tensor = assembly.view.tensor(use.parameter)
            if isinstance(tensor, nn.Parameter):
                self._tensors[use.parameter] = tensor

    def snapshot(self) -> dict[str, Tensor]:
        """Copies of the parameters, by name."""
        return {name: tensor.detach().clone() for name, tensor in self._tensors.items()}

    def put_back(self, snapshot: dict[str, Tensor], kept: Units) -> None:
        """Gives all units but the kept ones the parameters of an earlier moment again."""
        for name, tensor in self._tensors.items():
            with torch.no_grad():
                mask = self._mask(name, kept)
                tensor.copy_(torch.where(mask > 0, tensor, snapshot[name]))

    def training(self, units: Units, rate: float, more: Sequence[nn.Parameter] = ()) -> "Training":
        """Begins to train the places of some units, and further parameters as a whole."""
        masks = {name: self._mask(name, units) for name in self._tensors}
        places = [(self._tensors[name], mask) for name, mask in masks.items()]
        return Training(self._group.id, places, rate, more)

    def _mask(self, name: str, units: Units) -> Tensor:
        """1 where a place of a parameter belongs to one of the units, of the parameter's shape."""
        tensor = self._tensors[name]
        mask = torch.ones_like(tensor, requires_grad=False)
        for use in self._uses:
            if use.parameter == name:
                shape = [1] * tensor.dim()
                shape[use.axis] = -1
                inside = torch.from_numpy(np.isin(use.units, units)).to(tensor.device)
                mask *= inside.reshape(shape)
        return mask


class Training:
    """Adam on some places of a layer's parameters, and on further ones as a whole."""

    def __init__(
        self,
        group: str,
        places: Sequence[tuple[nn.Parameter, Tensor]],
        rate: float,
        more: Sequence[nn.Parameter],
    ) -> None:
        self._group = group
        self._places = places
        self._more = more
        for parameter, _ in places:
            parameter.requires_grad_(True)
        self._optimizer = torch.optim.Adam([*more, *(tensor for tensor, _ in places)], lr=rate)

    def step(self, loss: Tensor) -> None:
        """One step down the loss."""
        self._optimizer.zero_grad()
        loss.backward()
        for parameter, mask in self._places:
            # Adam leaves a place alone that never had a gradient.
            if parameter.grad is not None:
                parameter.grad *= mask
        self._optimizer.step()

    def end(self) -> None:
        """The layer's parameters take no gradients any more.

        Raises:
            SlicingError: GRAPH_NOT_FINITE, where a gradient has left the range of float32.
        """
        for parameter, _ in self._places:
            parameter.requires_grad_(False)
            parameter.grad = None
        trained = [*self._more, *(parameter for parameter, _ in self._places)]
        if not all(torch.isfinite(parameter).all() for parameter in trained):
            # Units that are silent on the samples stay finite and would pass for the best ones.
            raise SlicingError(
                SlicingReason.GRAPH_NOT_FINITE,
                f"training {self._group} leads to weights that are not finite",
                advice="Use the method closed_form, or rescale the layers of the model.",
                metadata={"group": self._group},
            )


def layer_nodes(model: ir.Model, group: UnitGroup) -> frozenset[str]:
    """The nodes that hold the parameters of m_i: producers, and the Adds of their biases."""
    nodes = nodes_by_name(model.graph)
    adds = [bias_add(nodes[name]) for name in group.producers]
    return frozenset([*group.producers, *(str(add.name) for add in adds if add is not None)])
