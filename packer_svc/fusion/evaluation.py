"""What error a pack is expected to make, by whatever samples there are to tell.

The bound is that of Clopper and Pearson (Biometrika 26, 1934): for n samples drawn independently
of all that was fitted it holds with at least 95 %. Predictions of a cross-validation share most of
what they were fitted on, and come from packs made of fewer samples than the one that is kept: for
those the bound covers chance in the drawing of n samples, neither that dependence nor the
difference. And no cross-validation knows what the models were trained on: of samples from their own
training it is too good, however it slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.fit import fit_head_alone, head_logits
from packer_svc.fusion.heads.folds import Confusion, CrossValidation, confusion_of
from packer_svc.fusion.heads.spec import HeadSpec

Labels = npt.NDArray[np.int64]

CONFIDENCE = 0.95
"""How often the bound holds at least."""


class EvaluationKind(StrEnum):
    """By what a pack's error was judged."""

    EVALUATION_SAMPLES = "evaluation_samples"
    """Samples that neither slicing nor head has seen."""
    SLICED_ANEW = "sliced_anew"
    """Cross-validation that plans, slices and fits anew in every fold."""
    HEAD_ALONE = "head_alone"
    """Cross-validation of the head; the fragments have seen all samples."""


@dataclass(frozen=True)
class Evaluation:
    """The error of a pack.

    Attributes:
        kind: By what it was judged.
        accuracy: Share of the samples whose largest probability is their class's.
        error: The share of the others.
        error_upper_bound: The one-sided 95 % upper bound of the error.
        samples: How many samples were judged.
        confusion: How often each class (row) was named as each class (column), `(C, C)`.
        optimistic: Whether something that was judged had seen the samples.
    """

    kind: EvaluationKind
    accuracy: float
    error: float
    error_upper_bound: float
    samples: int
    confusion: Confusion
    optimistic: bool

    @classmethod
    def of(cls, kind: EvaluationKind, confusion: Confusion) -> Evaluation:
        """The figures of a confusion matrix of at least one sample."""
        counts = np.array(confusion, dtype=np.int64)
        samples, right = int(counts.sum()), int(np.trace(counts))
        wrong = samples - right
        return cls(
            kind=kind,
            accuracy=right / samples,
            error=wrong / samples,
            error_upper_bound=error_upper_bound(wrong, samples),
            samples=samples,
            confusion=confusion,
            optimistic=kind is EvaluationKind.HEAD_ALONE,
        )

    @classmethod
    def of_head(cls, found: CrossValidation | None) -> Evaluation | None:
        """The head's own cross-validation; None where there was none."""
        return None if found is None else cls.of(EvaluationKind.HEAD_ALONE, found.confusion)

    def to_json(self) -> dict[str, object]:
        """The evaluation as plain JSON."""
        return asdict(self)

    def summary(self) -> dict[str, object]:
        """The same by the fields of `packer.v1.Evaluation`, without the confusion."""
        told = {name: value for name, value in self.to_json().items() if name != "confusion"}
        return told | {"kind": f"EVALUATION_KIND_{self.kind.name}"}


def error_upper_bound(wrong: int, samples: int) -> float:
    """The one-sided upper bound of a share by Clopper and Pearson: scipy's `beta.ppf`.

    Args:
        wrong: How many samples had the property.
        samples: How many there were, at least 1.

    Returns:
        The 95 % quantile of Beta(wrong + 1, samples − wrong); 1 where all had it.
    """
    if wrong == samples:
        return 1.0
    # scipy.stats, which calls this, takes half a second to import.
    return float(betaincinv(wrong + 1, samples - wrong, CONFIDENCE))


@dataclass(frozen=True, eq=False)
class Refit:
    """One fold: fragments that were made without some samples, on all samples.

    Attributes:
        features: What each fragment says of all samples of the pack.
        kept: Places of the samples that the head is fitted on.
        judged: Places of those that it is judged by, none of which was seen.
    """

    features: Sequence[FragmentFeatures]
    kept: Labels
    judged: Labels


def evaluate_refits(
    refits: Sequence[Refit],
    labels: Labels,
    classes: int,
    spec: HeadSpec,
    serves: Sequence[Sequence[int]],
) -> Evaluation:
    """Fits a head in every fold and counts what it names, each judged sample once.

    Args:
        refits: The folds.
        labels: Index of the class of every sample of the pack `(n,)`.
        classes: C.
        spec: How heads are fitted.
        serves: As of `fit_head`.
    """
    truth, named = [], []
    for refit in refits:
        training = [fragment.rows(refit.kept) for fragment in refit.features]
        head = fit_head_alone(training, labels[refit.kept], classes, spec, serves=serves)
        held = [fragment.rows(refit.judged) for fragment in refit.features]
        truth.append(labels[refit.judged])
        named.append(head_logits(head, held).argmax(axis=1))
    confusion = confusion_of(np.concatenate(truth), np.concatenate(named), classes)
    return Evaluation.of(EvaluationKind.SLICED_ANEW, confusion)
