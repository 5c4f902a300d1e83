"""Other scores of the same packs, from the same samples: what the packer's is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads import lda
from packer_svc.fusion.heads.closed_form import DEFAULT_STRENGTH, fit_closed_form
from packer_svc.fusion.heads.columns import blocks, standardise_columns
from packer_svc.fusion.heads.model import Head
from packer_svc.fusion.heads.none_of_these import NoneSamples
from packer_svc.fusion.heads.spec import HeadInputs, HeadSpec

Array = npt.NDArray[np.float64]
Features = Sequence[FragmentFeatures]
Score = Callable[[Features], Array]


def rivals(head: Head, samples: NoneSamples) -> Mapping[str, Score]:
    """Scores `(n,)` that are to be high outside of the pack.

    Args:
        head: The pack's.
        samples: Of its classes and of those outside.
    """
    found: dict[str, Score] = {
        "largest probability": lambda shown: -_probabilities(head, shown).max(axis=1),
        "energy": lambda shown: -_log_sum(_logits(head, shown)),
        "mahalanobis": _nearest_mean(samples),
    }
    if samples.outside.size:
        found["outside as a class"] = _one_class_more(samples)
    return found


def _logits(head: Head, shown: Features) -> Array:
    layer = head.folded()
    logits: Array = np.concatenate(blocks(shown, head.inputs), axis=1) @ layer.weight + layer.bias
    return logits


def _log_sum(logits: Array) -> Array:
    largest = logits.max(axis=1, keepdims=True)
    found: Array = largest[:, 0] + np.log(np.exp(logits - largest).sum(axis=1))
    return found


def _probabilities(head: Head, shown: Features) -> Array:
    logits = _logits(head, shown)
    shares: Array = np.exp(logits - _log_sum(logits)[:, None])
    return shares


def _nearest_mean(samples: NoneSamples) -> Score:
    """Squared distance to the nearest class mean under the shrunk covariance (Lee et al. 2018)."""
    rows = np.flatnonzero(samples.labels < samples.classes)
    parts = blocks([part.rows(rows) for part in samples.features], HeadInputs.BOTH)
    standardisation = standardise_columns(parts)
    columns = standardisation.apply(np.concatenate(parts, axis=1))
    space = lda.scatter(columns, samples.labels[rows], samples.classes)
    directions = space.source.T @ space.mixing
    variances = space.variances(DEFAULT_STRENGTH)

    def score(shown: Features) -> Array:
        joined = np.concatenate(blocks(shown, HeadInputs.BOTH), axis=1)
        inside = (standardisation.apply(joined) - space.mean) @ directions
        squares = [((inside - mean) ** 2 / variances).sum(axis=1) for mean in space.means]
        nearest: Array = np.min(squares, axis=0)
        return nearest

    return score


def _one_class_more(samples: NoneSamples) -> Score:
    """The packer's own discriminants with all that is outside as one class more."""
    classes = samples.classes
    labels = np.minimum(samples.labels, classes)
    head = fit_closed_form(samples.features, labels, classes + 1, HeadSpec()).head

    def score(shown: Features) -> Array:
        logits = _logits(head, shown)
        found: Array = logits[:, classes] - logits[:, :classes].max(axis=1)
        return found

    return score
