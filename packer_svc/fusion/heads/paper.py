"""The paper's head: encoder, decoders and classifier of Eq. 12, trained on cached features.

Σ_c Σ_{x in D_c} ℓ_ce(h(e(F(x))), c) + δ·‖d_c(e(F(x))) − F_c(x)‖², F(x) the concatenated features of
all fragments (Eq. 11). The paper leaves open, and we set: e, d and h linear; features centred and
divided by one number per fragment, which keeps the geometry of the squared error and makes rates
independent of a network's scale; both terms as means (over samples, over a fragment's features), so
that δ does not depend on widths; Adam over all samples at once.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.columns import blocks, standardise_blocks
from packer_svc.fusion.heads.model import Head, Linear
from packer_svc.fusion.heads.spec import HeadInputs, HeadKind, HeadSpec

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

WIDEST = 64
"""The encoder's width where none is asked for: that of the widest fragment's features, or this."""


def fit_paper(
    features: Sequence[FragmentFeatures],
    labels: Labels,
    classes: int,
    spec: HeadSpec,
    serves: Sequence[Sequence[int]],
) -> Head:
    """Trains encoder, decoders and classifier together; the fragments stay as they are.

    Args:
        features: One entry per fragment, `n` rows each; only the features are read.
        labels: Class indices `(n,)` in [0, classes).
        classes: C.
        spec: Encoder width, δ, steps, rate and seed. The same spec and inputs give the same head.
        serves: Per fragment the classes whose samples its decoder reconstructs.
    """
    parts = blocks(features, HeadInputs.FEATURES)
    standardisation = standardise_blocks(parts)
    columns = torch.from_numpy(standardisation.apply(np.concatenate(parts, axis=1)))
    widths = [part.shape[1] for part in parts]
    network = _Network(
        columns.shape[1], spec.encoder_width or min(max(widths), WIDEST), classes, widths
    )
    network.initialise(torch.Generator().manual_seed(spec.seed))
    _train(network, columns, torch.from_numpy(labels), spec, serves)
    return Head(
        kind=HeadKind.PAPER,
        inputs=HeadInputs.FEATURES,
        widths=tuple((part.features.shape[1], part.scores.shape[1]) for part in features),
        standardisation=standardisation,
        encoder=_linear(network.encoder),
        classifier=_linear(network.classifier),
        decoders=tuple(_linear(decoder) for decoder in network.decoders),
    )


class _Network(torch.nn.Module):
    def __init__(self, columns: int, width: int, classes: int, widths: Sequence[int]) -> None:
        super().__init__()
        double = torch.float64
        self.encoder = torch.nn.Linear(columns, width, dtype=double)
        self.classifier = torch.nn.Linear(width, classes, dtype=double)
        self.decoders = torch.nn.ModuleList(
            torch.nn.Linear(width, block, dtype=double) for block in widths
        )

    def initialise(self, generator: torch.Generator) -> None:
        """Draws weights with a variance of 1/inputs from `generator` alone; biases are zero."""
        for layer in (self.encoder, self.classifier, *self.decoders):
            torch.nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            torch.nn.init.zeros_(layer.bias)


def _train(
    network: _Network,
    columns: torch.Tensor,
    labels: torch.Tensor,
    spec: HeadSpec,
    serves: Sequence[Sequence[int]],
) -> None:
    widths = [decoder.out_features for decoder in network.decoders]
    own = [
        torch.isin(labels, torch.tensor(list(classes))).nonzero().squeeze(1) for classes in serves
    ]
    parts = columns.split(widths, dim=1)
    targets = [part[rows] for part, rows in zip(parts, own, strict=True)]
    optimiser = torch.optim.Adam(network.parameters(), lr=spec.learning_rate)
    for _ in range(spec.steps):
        code = network.encoder(columns)
        loss = torch.nn.functional.cross_entropy(network.classifier(code), labels)
        for decoder, target, rows in zip(network.decoders, targets, own, strict=True):
            # Chosen by index: the gradient of a boolean mask is slow on the CPU.
            error = (decoder(code.index_select(0, rows)) - target).square().mean(dim=1)
            loss = loss + spec.delta * error.sum() / len(labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _linear(layer: torch.nn.Module) -> Linear:
    assert isinstance(layer, torch.nn.Linear)
    weight: Array = layer.weight.detach().numpy().T.copy()
    return Linear(weight, layer.bias.detach().numpy().copy())
