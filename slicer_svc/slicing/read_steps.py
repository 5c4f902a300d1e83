"""Which steps of a recurrent layer matter: those behind which anything is read."""

import torch
from torch import Tensor

from onnxgraph.lookup import node_named
from onnxgraph.view import TorchView
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.walk import Minibatch
from slicer_svc.slicing.workbench import RecurrentTap


def read_steps(network: Network, view: TorchView, batch: Minibatch, tap: RecurrentTap) -> Tensor:
    """Which steps of which samples change the model's features.

    A sentence is filled up to a fixed length, and what its network makes of the padding is masked
    out behind the recurrent layer. Such states say nothing of what the layer's own states are good
    for, though most steps may be of their kind. They are found by a derivative: where the features
    have none, nobody reads.

    Args:
        network: The model.
        view: A view of that model.
        batch: Some samples.
        tap: The recurrent node.

    Returns:
        Ones and zeros that broadcast against the node's states: one for every step from which on,
        in the node's direction, a state is read; ones everywhere where no state is.
    """
    feature = network.classifier.feature
    fetch = [tap.value, feature]
    found = view.run(batch.inputs, fetch=fetch, patch={tap.value: _followed})
    states, features = found[tap.value], found[feature]
    # A sum with drawn factors: a plain one is constant behind a Softmax or LayerNormalization.
    factors = torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
    (slope,) = torch.autograd.grad((features * factors.to(features)).sum(), [states])
    read = (slope != 0).any(dim=-1, keepdim=True).to(states.dtype)
    if not read.any():
        return torch.ones_like(read)
    direction = node_named(network.model, tap.node).attributes.get("direction")
    if direction is not None and direction.as_string() == "reverse":
        return read.cummax(dim=0).values
    return read.flip(0).cummax(dim=0).values.flip(0)


def _followed(value: Tensor) -> Tensor:
    """The value with a derivative of its own, cut off from what it is made of."""
    return value.detach().requires_grad_()
