"""Makes the specification of a model, or of a user's task, from its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from specification.checks import LEAST_SPREAD, MOST_CLASSES, check_dimensions, validate
from specification.errors import SpecificationError, SpecificationReason, invalid
from specification.kernel import kernel
from specification.labelling import Labelling
from specification.model import (
    LEAST_SHARE,
    VERSION,
    Floats,
    Places,
    PrivacyRequest,
    Space,
    Specification,
)
from specification.privacy import private
from specification.proxy import Proxy, fit_proxy
from specification.reduced_set import (
    ReducedSet,
    nearest_distance,
    pushed_away,
    reduce,
)
from specification.spaces.features import Samples, features
from specification.spaces.tables import standard
from specification.threads import in_one_thread
from svckit.input_spec import InputSpec

MOST_POINTS: Final = 50
"""Points of a reduced set at most, however many samples there are; one a class at least."""
KEPT_APART: Final = 0.1
"""No point is nearer to a sample than this share of the root mean squared distance of two."""
_ROUNDING: Final = 1e-5
"""What differs by less than this share of its length is the same: a product of equal pictures may
differ in the last place of float32."""


@in_one_thread
def make(
    samples: Samples,
    inputs: Sequence[InputSpec],
    labelling: Labelling | None,
    *,
    seed: int,
    privacy: PrivacyRequest | None = None,
) -> Specification:
    """Makes a specification; the same samples and seed make the same one.

    Args:
        samples: What the graph is fed, by its inputs' names; the first axis is the sample.
        inputs: What that means.
        labelling: The samples' classes; None for a user's samples without labels.
        seed: Of everything drawn.
        privacy: The noise that is wanted, or None.

    Returns:
        The specification; none of its points is a sample, nor nearer to one than its bound.

    Raises:
        SpecificationError: SPECIFICATION_INVALID, an argument does not fit another;
            SPECIFICATION_TOO_FEW_SAMPLES, some class has fewer than four;
            SPECIFICATION_TOO_NEAR, the samples are too much alike to be hidden.
    """
    space, raw = features(samples, inputs)
    # Before anything is computed of so many that nobody could write them down.
    check_dimensions(space)
    labels = _labels(labelling, len(raw))
    if privacy is not None:
        found = private(space, raw, labels, labelling, seed, privacy)
        validate(found)
        return found
    offset, scale = _units(space, raw)
    points = (raw - offset) / scale
    bound = KEPT_APART * _typical_distance(points)
    reduced, classes = _reduced(points, labels, bound, np.random.default_rng(seed))
    proxy = _proxy(points, labelling)
    found = Specification(
        version=VERSION,
        space=space,
        seed=seed,
        points=_single(reduced.points),
        weights=reduced.weights,
        point_classes=classes,
        proxy=_single(proxy.weights),
        bias=_single(proxy.bias),
        labels=labelling.names if labelling else (),
        class_samples=_counts(labels, labelling),
        samples=len(points),
        offset=_single(offset),
        scale=_single(scale),
        spreads=_spreads(points, labels),
        nearest=nearest_distance(_single(reduced.points), points),
        bound=bound,
    )
    validate(found)
    return found


def _units(space: Space, raw: Floats) -> tuple[Floats, Floats]:
    if "tensor" in space.kind:
        return standard(raw)
    return np.zeros(raw.shape[1]), np.ones(raw.shape[1])


def _labels(labelling: Labelling | None, count: int) -> Places:
    """The label of each sample, -1 where there are none; checked."""
    if labelling is None:
        if count < LEAST_SHARE:
            raise _too_few("the samples", count)
        return np.full(count, -1, dtype=np.int64)
    labels = np.asarray(labelling.labels, dtype=np.int64)
    classes = len(labelling.names)
    if classes > MOST_CLASSES:
        raise _too_many(classes)
    if labels.shape != (count,):
        raise invalid("labels", f"{labels.shape} for {count} samples")
    if not classes or labels.min(initial=0) < 0 or labels.max(initial=0) >= classes:
        raise invalid("labels", f"a label is none of the {classes} classes")
    if labelling.outputs is not None and labelling.outputs.shape != (count, classes):
        raise invalid(
            "outputs", f"{labelling.outputs.shape} for {count} samples, {classes} classes"
        )
    if labelling.outputs is not None:
        outputs = labelling.outputs
        if (
            not np.isfinite(outputs).all()
            or (outputs < 0).any()
            or (outputs.sum(axis=1) <= 0).any()
        ):
            raise invalid("outputs", "they are no probabilities")
    for label, members in enumerate(np.bincount(labels, minlength=classes)):
        if members < LEAST_SHARE:
            raise _too_few(f"class {labelling.names[label]!r}", int(members))
    return labels


def _too_few(what: str, count: int) -> SpecificationError:
    return SpecificationError(
        SpecificationReason.SPECIFICATION_TOO_FEW_SAMPLES,
        f"{what} has {count} samples, {LEAST_SHARE} are needed",
        advice=f"Give at least {LEAST_SHARE} samples of every class; 10 and more find better.",
        metadata={"samples": str(count)},
    )


def _too_many(classes: int) -> SpecificationError:
    return SpecificationError(
        SpecificationReason.SPECIFICATION_INVALID,
        f"there are {classes} classes, and a specification holds at most {MOST_CLASSES}",
        advice="Leave classes out; a model of more is sliced and packed by its name, and no search "
        "finds it.",
        metadata={"field": "labels", "limit": str(MOST_CLASSES)},
    )


def _reduced(
    points: Floats, labels: Places, bound: float, random: np.random.Generator
) -> tuple[ReducedSet, Places]:
    """The reduced sets of the classes, each weighted by its class's share, and their classes."""
    points_found, weights, classes = [], [], []
    present = np.unique(labels)
    for label in present:
        members = points[labels == label]
        count = min(len(members) // LEAST_SHARE, max(1, MOST_POINTS // len(present)))
        reduced = reduce(members, count, bound, random)
        points_found.append(pushed_away(reduced.points, points, bound, random))
        weights.append(reduced.weights * len(members) / len(points))
        classes.append(np.full(len(reduced.weights), label))
    together = np.concatenate(weights)
    return (
        ReducedSet(np.concatenate(points_found), together / together.sum()),
        np.concatenate(classes),
    )


def _proxy(points: Floats, labelling: Labelling | None) -> Proxy:
    if labelling is None:
        return Proxy(np.zeros((points.shape[1], 0)), np.zeros(0))
    outputs = labelling.outputs
    if outputs is not None:
        outputs = np.asarray(outputs, dtype=np.float64)
        outputs = outputs / outputs.sum(axis=1, keepdims=True)
    labels = np.asarray(labelling.labels, dtype=np.int64)
    # Points of about the same length in any space, so that the ridge means the same.
    length = np.sqrt(points.shape[1])
    found = fit_proxy(points / length, labels, outputs, len(labelling.names))
    return Proxy(found.weights / length, found.bias)


def _counts(labels: Places, labelling: Labelling | None) -> Places:
    if labelling is None:
        return np.zeros(0, dtype=np.int64)
    return np.bincount(labels, minlength=len(labelling.names)).astype(np.int64)


def _typical_distance(points: Floats) -> float:
    """The root of the mean squared distance of two samples.

    Raises:
        SpecificationError: SPECIFICATION_TOO_NEAR, they are all the same.
    """
    found = float(np.sqrt(2.0 * points.var(axis=0).sum()))
    if not found > _ROUNDING * float(np.sqrt((points**2).sum(axis=1).mean())):
        raise SpecificationError(
            SpecificationReason.SPECIFICATION_TOO_NEAR,
            "the samples are all the same: whatever stands for them is one of them",
            advice="Give samples that differ.",
        )
    return found


def _spreads(points: Floats, labels: Places) -> Floats:
    """1 less the mean kernel of two different samples, by class `(K,)` or of all `(1,)`."""
    found = []
    for label in np.unique(labels):
        members = points[labels == label]
        own = kernel(members, members)
        pairs = len(members) * (len(members) - 1)
        found.append(1.0 - float(own.sum() - np.trace(own)) / pairs)
    return np.maximum(np.array(found, dtype=np.float64), LEAST_SPREAD)


def _single(values: Floats) -> Floats:
    """What is left after writing: float32, kept as float64."""
    return values.astype(np.float32).astype(np.float64)


__all__ = ["Labelling", "make"]
