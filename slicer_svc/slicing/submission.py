"""Whether a model is worth keeping: it fits its labels, beats chance, and can be sliced."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from scipy.stats import binom

from onnxgraph.classifier import Classifier
from onnxgraph.view import TorchView
from slicer_svc.slicing.device import fastest_device
from slicer_svc.slicing.errors import SlicingError, SlicingReason, not_finite
from slicer_svc.slicing.measures import flat
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.samples import Samples
from slicer_svc.slicing.walk import minibatches

SIGNIFICANCE = 0.01
"""A model is refused if guessing would do as well with at least this probability."""

# Of classes without samples; the others are often missing for the same cause.
_MOST_NAMED: Final = 5


@dataclass(frozen=True, eq=False)
class Submission:
    """What the checks found.

    Attributes:
        accuracy: Share of the samples that the model classifies rightly, in [0, 1].
        chance: What guessing reaches: the share of the largest class, at least 1/classes.
        p_value: Probability that guessing classifies at least as many samples rightly.
        feature_width: Width of the feature vector.
        groups: Unit groups that can be cut.
        scores: The class scores of its samples, float32 `(n, classes)`.
    """

    accuracy: float
    chance: float
    p_value: float
    feature_width: int
    groups: int
    scores: NDArray[np.float32]


def check_submission(model: ir.Model, samples: Samples, labels: Sequence[str]) -> Submission:
    """Runs a model on its own samples and checks that it can be kept.

    Args:
        model: A normalised model.
        samples: Its samples.
        labels: The labels of the classes, in the order of the scores.

    Returns:
        The figures.

    Raises:
        GraphError: GRAPH_NO_LINEAR_CLASSIFIER.
        SlicingError: LABELS_MISMATCH, SAMPLES_MISMATCH, SAMPLES_CLASS_MISSING, GRAPH_NOT_FINITE,
            MODEL_AT_CHANCE, GRAPH_NO_SLICEABLE_UNIT.
    """
    network = Network.of(model)
    check_labels(network.classifier, len(labels))
    check_sample_labels(samples, labels)
    scores = class_scores(network, samples)
    correct = int(np.sum(scores.argmax(axis=1) == samples.labels))
    chance = chance_level(samples, len(labels))
    p_value = check_above_chance(correct, len(samples), chance)
    return Submission(
        accuracy=correct / len(samples),
        chance=chance,
        p_value=p_value,
        feature_width=network.classifier.feature_width,
        groups=len(network.groups),
        scores=scores,
    )


def check_labels(classifier: Classifier, labels: int) -> None:
    """Refuses a model whose output is not as wide as its labels are many.

    Raises:
        SlicingError: LABELS_MISMATCH.
    """
    if classifier.classes != labels:
        raise SlicingError(
            SlicingReason.LABELS_MISMATCH,
            f"the model has {classifier.classes} class scores, {labels} labels were given",
            advice="Give one label per class score, in the order of the model's output.",
            metadata={"classes": str(classifier.classes), "labels": str(labels)},
        )


def check_sample_labels(samples: Samples, labels: Sequence[str]) -> None:
    """Refuses samples of unknown classes, and classes without a sample, by their labels.

    Raises:
        SlicingError: SAMPLES_MISMATCH or SAMPLES_CLASS_MISSING.
    """
    classes = len(labels)
    outside = samples.labels[(samples.labels < 0) | (samples.labels >= classes)]
    if len(outside):
        raise SlicingError(
            SlicingReason.SAMPLES_MISMATCH,
            f"a sample has the label {outside[0]}, outside of the model's {classes} classes",
            advice=f"Label the samples with class indices from 0 to {classes - 1}.",
            metadata={"label": str(outside[0])},
        )
    missing = np.setdiff1d(np.arange(classes), samples.labels)
    if len(missing):
        named = ", ".join(f"{labels[place]!r} (class {place})" for place in missing[:_MOST_NAMED])
        more = " and others" if len(missing) > _MOST_NAMED else ""
        raise SlicingError(
            SlicingReason.SAMPLES_CLASS_MISSING,
            f"{len(missing)} of {classes} classes are without a sample: {named}{more}",
            advice="Give at least one sample of every class.",
            metadata={
                "label": labels[missing[0]],
                "classes": ",".join(str(place) for place in missing[:100]),
            },
        )


def class_scores(network: Network, samples: Samples) -> NDArray[np.float32]:
    """What a model makes of its samples: its class scores, float32 `(n, classes)`.

    Raises:
        SlicingError: GRAPH_NOT_FINITE.
    """
    view = TorchView(network.model).to(fastest_device())
    name = network.classifier.scores
    found = []
    for batch in minibatches(samples, np.ones(len(samples))):
        with torch.no_grad():
            scores = flat(view.run(batch.inputs, fetch=[name])[name])
        if not torch.isfinite(scores).all():
            node = network.classifier.node
            raise not_finite(f"{node} computes class scores", {"node": node})
        found.append(scores.float().cpu().numpy())
    return np.concatenate(found)


def chance_level(samples: Samples, labels: int) -> float:
    """What a guesser reaches who always names the largest class, at least 1/labels."""
    largest = int(np.bincount(samples.labels, minlength=labels).max())
    return max(largest / len(samples), 1.0 / labels)


def check_above_chance(correct: int, total: int, chance: float) -> float:
    """One-sided binomial test of the accuracy against chance.

    Args:
        correct: Samples classified rightly.
        total: All samples.
        chance: Probability that a guess is right.

    Returns:
        P(at least `correct` right guesses).

    Raises:
        SlicingError: MODEL_AT_CHANCE where that is at least `SIGNIFICANCE`.
    """
    p_value = float(binom.sf(correct - 1, total, chance))
    if p_value >= SIGNIFICANCE:
        raise SlicingError(
            SlicingReason.MODEL_AT_CHANCE,
            f"{correct} of {total} samples are right ({correct / total:.3f}); guessing reaches "
            f"{chance:.3f}, and so many with p = {p_value:.3g}, at least {SIGNIFICANCE}",
            advice="Check the order of the labels and the samples' normalisation, or give more "
            "samples per class.",
            metadata={
                "correct": str(correct),
                "samples": str(total),
                "chance": f"{chance:.6f}",
                "p_value": f"{p_value:.6g}",
            },
        )
    return p_value
