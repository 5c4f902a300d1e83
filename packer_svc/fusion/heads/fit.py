"""Fitting a head of any kind, with figures that compare across kinds."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.features import FragmentFeatures
from packer_svc.fusion.heads.closed_form import Fitted, fit_closed_form
from packer_svc.fusion.heads.columns import blocks
from packer_svc.fusion.heads.folds import accuracy, cross_validate
from packer_svc.fusion.heads.model import Head, HeadReport
from packer_svc.fusion.heads.paper import fit_paper
from packer_svc.fusion.heads.spec import HeadKind, HeadSpec

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

MAX_TOLD = 10
"""How many classes a refusal names."""


def fit_head(
    features: Sequence[FragmentFeatures],
    labels: Labels,
    classes: int,
    spec: HeadSpec,
    *,
    serves: Sequence[Sequence[int]] | None = None,
) -> tuple[Head, HeadReport]:
    """Fits a head on the outputs of fragments, or of the full originals, on a pack's samples.

    Args:
        features: One entry per fragment (or original), each on all `n` samples of all classes.
        labels: Index of each sample's class in the pack `(n,)`, int64.
        classes: Number of classes C ≥ 2; each needs a sample.
        spec: Kind and parameters.
        serves: Per fragment the classes that it was cut for: the paper's decoders reconstruct a
            fragment on these only. None: on all samples.

    Returns:
        The head, and the report of its fit. The same arguments give the same numbers.

    Raises:
        FusionError: `FIELD_INVALID`, `FRAGMENTS_DUPLICATE` (no fragment), `SAMPLES_MISMATCH`,
            `SAMPLES_CLASS_MISSING` or `GRAPH_NOT_FINITE`.
    """
    everywhere = serves if serves is not None else [range(classes)] * len(features)
    fitted = _fitted(features, labels, classes, spec, everywhere)

    def logits_without(kept: Labels, held: Labels) -> Array:
        training = [fragment.rows(kept) for fragment in features]
        refitted = _fit(training, labels[kept], classes, spec, everywhere)
        return head_logits(refitted.head, [fragment.rows(held) for fragment in features])

    head = fitted.head
    report = HeadReport(
        kind=spec.kind,
        inputs=head.inputs,
        samples_per_class=tuple(np.bincount(labels, minlength=classes).tolist()),
        strength=fitted.strength,
        encoder_width=None if head.encoder is None else len(head.encoder.bias),
        constant_columns=int((head.standardisation.scale == 0).sum()),
        candidates=fitted.candidates,
        in_sample_accuracy=accuracy(head_logits(head, features), labels),
        cross_validation=cross_validate(labels, spec.seed, logits_without),
    )
    return head, report


def _fit(
    features: Sequence[FragmentFeatures],
    labels: Labels,
    classes: int,
    spec: HeadSpec,
    serves: Sequence[Sequence[int]],
) -> Fitted:
    if spec.kind is HeadKind.PAPER:
        return Fitted(fit_paper(features, labels, classes, spec, serves), None, ())
    return fit_closed_form(features, labels, classes, spec)


def fit_head_alone(
    features: Sequence[FragmentFeatures],
    labels: Labels,
    classes: int,
    spec: HeadSpec,
    *,
    serves: Sequence[Sequence[int]],
) -> Head:
    """Fits the head of `fit_head` without the figures about it; arguments and errors as there."""
    return _fitted(features, labels, classes, spec, serves).head


def _fitted(
    features: Sequence[FragmentFeatures],
    labels: Labels,
    classes: int,
    spec: HeadSpec,
    serves: Sequence[Sequence[int]],
) -> Fitted:
    _check(features, labels, classes)
    return _fit(features, labels, classes, spec, serves)


def head_logits(head: Head, features: Sequence[FragmentFeatures]) -> Array:
    """What a head says of samples before Softmax `(n, C)`."""
    layer = head.folded()
    logits: Array = (
        np.concatenate(blocks(features, head.inputs), axis=1) @ layer.weight + layer.bias
    )
    return logits


def _check(features: Sequence[FragmentFeatures], labels: Labels, classes: int) -> None:
    if not features:
        raise FusionError(
            FusionReason.FRAGMENTS_DUPLICATE,
            "A head needs at least one fragment.",
            advice="Name the fragments of the classes that the pack shall tell apart.",
        )
    if classes < 2:
        raise FusionError(
            FusionReason.FIELD_INVALID,
            f"A pack of {classes} class has nothing to tell apart.",
            advice="Name at least two classes.",
            metadata={"field": "classes"},
        )
    for number, fragment in enumerate(features):
        _check_fragment(number, fragment, len(labels))
    _check_labels(labels, classes)


def _check_labels(labels: Labels, classes: int) -> None:
    outside = sorted({int(label) for label in labels} - set(range(classes)))
    missing = sorted(set(range(classes)) - {int(label) for label in labels})
    if outside or missing:
        found = [f"class {label} has no sample" for label in missing]
        found += [f"there is no class {label}" for label in outside]
        raise FusionError(
            FusionReason.SAMPLES_CLASS_MISSING,
            f"The samples are not those of the {classes} classes of the pack, counted from 0: "
            f"{', '.join(found[:MAX_TOLD])}.",
            advice="Give at least one sample of every class of the pack, and of no other.",
            metadata={"class": str((missing or outside)[0])},
        )


def _check_fragment(number: int, fragment: FragmentFeatures, rows: int) -> None:
    for name, values in (("features", fragment.features), ("scores", fragment.scores)):
        if values.ndim != 2 or values.shape[0] != rows or values.shape[1] == 0:
            raise FusionError(
                FusionReason.SAMPLES_MISMATCH,
                f"{name} of fragment {number} have the shape {values.shape}; "
                f"({rows}, width) was expected.",
                advice="Run every fragment on all samples of the pack.",
                metadata={"array": name},
            )
        if not np.isfinite(values).all():
            raise FusionError(
                FusionReason.GRAPH_NOT_FINITE,
                f"{name} of fragment {number} hold NaN or infinity.",
                advice="Check the weights of its model and the range of the samples.",
                metadata={"value": name},
            )
