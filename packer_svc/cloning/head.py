"""The classifier of a clone: who is asked, the target or the part, and what each of them says.

P(c) = P(target's classes | x) · softmax(target's scores)(c) for the target's own classes, and
P(cloned classes | x) · softmax(part's scores)(c) for the cloned ones: among its own classes a clone
decides exactly as its target does, and among cloned ones as the part. Only how likely the one or
the other is has to be learnt from the few samples: by a shrinkage discriminant analysis of all
classes on what both compute, of which the probabilities of either side are summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.columns import blocks
from packer_svc.fusion.heads.fit import fit_head, fit_head_alone
from packer_svc.fusion.heads.folds import confusion_of, cross_validate, log_losses
from packer_svc.fusion.heads.model import Head, HeadReport
from packer_svc.fusion.heads.spec import HeadSpec

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

TINY = 1e-30
"""Below any probability that float32 tells from 0; the logarithm of it is finite."""


@dataclass(frozen=True, eq=False)
class CloneHead:
    """What turns the outputs of a target and of a part into the probabilities of all classes.

    Attributes:
        own: How many classes the target has; they come first.
        places: Of each cloned class its place in the part's scores.
        gate: The discriminant analysis of all classes on the outputs of both; None without a
            cloned class: then the target answers alone.
    """

    own: int
    places: tuple[int, ...]
    gate: Head | None

    @property
    def classes(self) -> int:
        """All classes."""
        return self.own + len(self.places)

    def probabilities(self, features: Sequence[FragmentFeatures]) -> Array:
        """The probabilities `(n, C)` float64 from the outputs of target and part."""
        target = _softmax(features[0].scores.astype(np.float64))
        if self.gate is None:
            return target
        layer = self.gate.folded()
        columns = np.concatenate(blocks(features, self.gate.inputs), axis=1)
        asked = _softmax(columns @ layer.weight + layer.bias)
        sides = asked[:, : self.own].sum(axis=1), asked[:, self.own :].sum(axis=1)
        part = _softmax(features[1].scores[:, list(self.places)].astype(np.float64))
        return np.concatenate([target * sides[0][:, None], part * sides[1][:, None]], axis=1)

    def torch(self) -> CloneReference:
        """The reference of the proof: nothing folded, in float64."""
        return CloneReference(self)


class CloneReference:
    """A clone's head in torch, its gate unfolded; it shares no line with the merged graph.

    Args:
        head: The head.
    """

    def __init__(self, head: CloneHead) -> None:
        self._head = head

    def probabilities(self, features: Sequence[FragmentFeatures]) -> torch.Tensor:
        """The probabilities `(n, C)` float64 from the outputs of target and part."""
        head = self._head
        scores = [torch.from_numpy(one.scores.astype(np.float64)) for one in features]
        target = torch.log_softmax(scores[0], dim=1)
        if head.gate is None:
            return target.exp()
        asked = head.gate.torch().probabilities(features)
        part = torch.log_softmax(scores[1][:, list(head.places)], dim=1)
        own, cloned = asked.split([head.own, len(head.places)], dim=1)
        sides = [side.sum(dim=1, keepdim=True).log() for side in (own, cloned)]
        return torch.cat([target + sides[0], part + sides[1]], dim=1).exp()


def fit_clone_head(
    features: Sequence[FragmentFeatures], labels: Labels, own: int, places: tuple[int, ...]
) -> CloneHead:
    """Fits the head, without figures about it.

    Args:
        features: What target and part compute on the samples `n` of all classes.
        labels: The place of each sample's class `(n,)`: the target's first, then the cloned ones.
        own: How many classes the target has.
        places: Of each cloned class its place in the part's scores.

    Raises:
        FusionError: See `fit_head`.
    """
    if not places:
        return CloneHead(own, places, None)
    classes = own + len(places)
    gate = fit_head_alone(features, labels, classes, HeadSpec(), serves=_serves(own, classes))
    return CloneHead(own, places, gate)


def reported_clone_head(
    features: Sequence[FragmentFeatures], labels: Labels, head: CloneHead, seed: int
) -> tuple[CloneHead, HeadReport]:
    """Fits the head of a clone again, with the figures about it.

    Args:
        features: As of `fit_clone_head`.
        labels: Likewise.
        head: Its shape: own classes and places.
        seed: Of the folds.

    Raises:
        FusionError: See `fit_head`.
    """
    own, places = head.own, head.places
    spec = HeadSpec(seed=seed)
    told: HeadReport
    # Of a target alone nothing is fitted; its report counts the samples.
    serves = _serves(own, own + len(places)) if places else None
    gate, told = fit_head(features, labels, own + len(places), spec, serves=serves)
    fitted = CloneHead(own, places, gate if places else None)

    def logits_without(kept: Labels, held: Labels) -> Array:
        training = [one.rows(kept) for one in features]
        return clone_logits(
            fit_clone_head(training, labels[kept], own, places),
            [one.rows(held) for one in features],
        )

    named = fitted.probabilities(features).argmax(axis=1)
    right = float(np.trace(np.array(confusion_of(labels, named, fitted.classes)))) / len(labels)
    validated = cross_validate(labels, seed, logits_without)
    return fitted, replace(told, in_sample_accuracy=right, cross_validation=validated)


def clone_logits(head: CloneHead, features: Sequence[FragmentFeatures]) -> Array:
    """The logarithms of what a head says `(n, C)`."""
    logits: Array = np.log(np.maximum(head.probabilities(features), TINY))
    return logits


def clone_losses(head: CloneHead, features: Sequence[FragmentFeatures], labels: Labels) -> Array:
    """−ln of the probability of each sample's class `(n,)`, in nats."""
    return log_losses(clone_logits(head, features), labels)


def _serves(own: int, classes: int) -> list[range]:
    return [range(own), range(own, classes)]


def _softmax(scores: Array) -> Array:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return found
