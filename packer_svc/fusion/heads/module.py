"""A head as a torch module: standardisation, encoder and classifier apart, in float64."""

from collections.abc import Sequence

import torch

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.columns import blocks
from packer_svc.fusion.heads.model import Head, Linear


class HeadModule(torch.nn.Module):
    """The unfolded head; what the merged graph is proven against.

    Args:
        head: The fitted head.
    """

    def __init__(self, head: Head) -> None:
        super().__init__()
        self._inputs = head.inputs
        self.mean = torch.nn.Buffer(torch.from_numpy(head.standardisation.mean))
        self.scale = torch.nn.Buffer(torch.from_numpy(head.standardisation.scale))
        layers = [head.classifier] if head.encoder is None else [head.encoder, head.classifier]
        self.layers = torch.nn.Sequential(*(_linear(layer) for layer in layers))

    def forward(self, columns: torch.Tensor) -> torch.Tensor:
        """Class probabilities `(N, C)` of concatenated raw columns `(N, p)`, float64."""
        logits = self.layers((columns - self.mean) * self.scale)
        return torch.softmax(logits, dim=1)

    def probabilities(self, features: Sequence[FragmentFeatures]) -> torch.Tensor:
        """Class probabilities `(N, C)` from the outputs of all fragments, in their order."""
        parts = [torch.from_numpy(part) for part in blocks(features, self._inputs)]
        with torch.inference_mode():
            probabilities: torch.Tensor = self(torch.cat(parts, dim=1))
        return probabilities


def _linear(layer: Linear) -> torch.nn.Linear:
    rows, columns = layer.weight.shape
    module = torch.nn.Linear(rows, columns, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(layer.weight.T))
        module.bias.copy_(torch.from_numpy(layer.bias))
    return module
