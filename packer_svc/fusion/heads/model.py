"""A fitted head, its factored truth in float64 and the layers that are exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from packer_svc.fusion.heads.columns import Standardisation
from packer_svc.fusion.heads.folds import CrossValidation
from packer_svc.fusion.heads.spec import HeadInputs, HeadKind

if TYPE_CHECKING:
    from packer_svc.fusion.heads.module import HeadModule

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """y = x·weight + bias.

    Attributes:
        weight: `(in, out)` float64.
        bias: `(out,)` float64.
    """

    weight: Array
    bias: Array

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return int(self.weight.size + self.bias.size)

    def then(self, following: Linear) -> Linear:
        """The one layer that equals this one and then `following`."""
        return Linear(self.weight @ following.weight, self.bias @ following.weight + following.bias)


@dataclass(frozen=True)
class Head:
    """What turns the outputs of all fragments into the pack's class probabilities.

    softmax(classifier(encoder((x − mean)·scale))) on the concatenated columns x.

    Attributes:
        kind: How it was fitted.
        inputs: Which outputs of the fragments x holds.
        widths: Feature width and number of class scores of each fragment.
        standardisation: mean and scale of the columns.
        encoder: Linear encoder `(p, e)`; None: identity.
        classifier: Linear classifier `(p or e, C)`.
        decoders: Per fragment, from the code `(e,)` to its standardised features (paper's head
            only); they serve the fit alone and are never exported.
    """

    kind: HeadKind
    inputs: HeadInputs
    widths: tuple[tuple[int, int], ...]
    standardisation: Standardisation
    encoder: Linear | None
    classifier: Linear
    decoders: tuple[Linear, ...] = ()

    @property
    def classes(self) -> int:
        """C, the number of outputs."""
        return len(self.classifier.bias)

    def folded(self) -> Linear:
        """The single layer `(p, C)` on raw columns that equals the whole head before Softmax."""
        whole = self.classifier if self.encoder is None else self.encoder.then(self.classifier)
        return self._on_raw_columns(whole)

    def layers(self) -> tuple[Linear, ...]:
        """The layers to export, on raw columns: one, or encoder and classifier where smaller."""
        folded = self.folded()
        if self.encoder is not None:
            encoder = self._on_raw_columns(self.encoder)
            if encoder.parameters + self.classifier.parameters < folded.parameters:
                return encoder, self.classifier
        return (folded,)

    def torch(self) -> HeadModule:
        """The head as a torch module in float64, nothing folded: the reference of every proof."""
        # Only the worker that fits and proves a head has torch loaded.
        from packer_svc.fusion.heads.module import HeadModule

        return HeadModule(self)

    def _on_raw_columns(self, layer: Linear) -> Linear:
        weight = self.standardisation.scale[:, None] * layer.weight
        return Linear(weight, layer.bias - self.standardisation.mean @ weight)


@dataclass(frozen=True)
class Candidate:
    """One choice of inputs that the closed form weighed, by leave-one-out.

    Attributes:
        inputs: Features, class scores or both.
        accuracy: Leave-one-out accuracy.
        log_loss: Leave-one-out log loss, in nats.
    """

    inputs: HeadInputs
    accuracy: float
    log_loss: float


@dataclass(frozen=True)
class HeadReport:
    """How a head was fitted, and what to expect of it; JSON-able by `dataclasses.asdict`.

    Attributes:
        kind: How it was fitted.
        inputs: Which outputs of the fragments it reads.
        samples_per_class: Number of samples of each class.
        strength: Mean shrinkage α of the closed form; None for the paper's head.
        encoder_width: Width of the encoder; None: none.
        constant_columns: Columns that never change on the samples and are left out.
        candidates: The choices of inputs and their leave-one-out figures (closed form only, with
            at least two samples in every class).
        in_sample_accuracy: Accuracy on the very samples it was fitted on.
        cross_validation: Stratified cross-validation of the whole fit; None with a class of one
            sample. Optimistic where the fragments were made from the same samples.
    """

    kind: HeadKind
    inputs: HeadInputs
    samples_per_class: tuple[int, ...]
    strength: float | None
    encoder_width: int | None
    constant_columns: int
    candidates: tuple[Candidate, ...]
    in_sample_accuracy: float
    cross_validation: CrossValidation | None
