"""What must hold of every specification, whoever it comes from."""

from __future__ import annotations

from dataclasses import astuple
from typing import Final

import numpy as np

from specification.errors import SpecificationError, SpecificationReason, invalid
from specification.model import LEAST_SHARE, VERSION, Specification

MOST_POINTS: Final = 4096
MOST_DIMENSIONS: Final = 16384
MOST_CLASSES: Final = 1024
MOST_SAMPLES: Final = 10**9
MOST_LABEL_BYTES: Final = 256
LEAST_SPREAD: Final = 1e-6
"""Classes whose samples are all but the same count as this wide."""
LARGEST: Final = 1e12
"""No number of a specification is larger: sums of squares stay finite."""


def validate(found: Specification) -> None:
    """Refuses what no honest maker makes.

    Raises:
        SpecificationError: SPECIFICATION_VERSION, it is of another version; SPECIFICATION_INVALID,
            something of it cannot be.
    """
    check_version(found.version)
    _shapes(found)
    _values(found)
    _labels(found)


def check_version(version: int) -> None:
    """Refuses another version.

    Raises:
        SpecificationError: SPECIFICATION_VERSION.
    """
    if version != VERSION:
        raise SpecificationError(
            SpecificationReason.SPECIFICATION_VERSION,
            f"the specification is of version {version}, not {VERSION}",
            advice="Make it anew with a `marketctl` of the same release as the server.",
            metadata={"version": str(version), "wanted": str(VERSION)},
        )


def _shapes(found: Specification) -> None:
    count, dimensions, classes = len(found.weights), found.space.dimensions, len(found.labels)
    for name, size, most in (
        ("points", count, MOST_POINTS),
        ("dimensions", dimensions, MOST_DIMENSIONS),
    ):
        if not 1 <= size <= most:
            raise invalid(name, f"{size}, not 1 to {most}")
    if classes > MOST_CLASSES:
        raise invalid("labels", f"{classes}, at most {MOST_CLASSES} can be")
    for name, array, shape in (
        ("points", found.points, (count, dimensions)),
        ("weights", found.weights, (count,)),
        ("point_classes", found.point_classes, (count,)),
        ("proxy", found.proxy, (dimensions, classes)),
        ("bias", found.bias, (classes,)),
        ("class_samples", found.class_samples, (classes,)),
        ("offset", found.offset, (dimensions,)),
        ("scale", found.scale, (dimensions,)),
        ("spreads", found.spreads, (max(1, classes),)),
    ):
        if array.shape != shape:
            raise invalid(name, f"of shape {array.shape}, not {shape}")


def _values(found: Specification) -> None:
    for name in ("points", "weights", "proxy", "bias", "offset", "scale", "spreads"):
        # What is not a number is not below anything.
        if not np.abs(getattr(found, name)).max(initial=0.0) <= LARGEST:
            raise invalid(name, "a value is not finite, or far too large")
    for name in ("nearest", "bound"):
        if not 0.0 <= getattr(found, name) <= LARGEST:
            raise invalid(name, "below 0, or far too large")
    if (found.scale < 1 / LARGEST).any():
        raise invalid("scale", "a column is divided by next to nothing")
    if "tensor" not in found.space.kind and (found.offset.any() or (found.scale != 1).any()):
        raise invalid("scale", "the units of pictures and text are fixed")
    # With noise they tell of that too.
    most = 1.0 if found.privacy is None else LARGEST
    if (found.spreads < LEAST_SPREAD).any() or (found.spreads > most).any():
        raise invalid("spreads", "the samples of a class do not differ, or more than any can")
    if (found.weights < 0).any() or abs(float(found.weights.sum()) - 1.0) > 1e-6:
        raise invalid("weights", "one is below 0, or their sum is not 1")
    if not LEAST_SHARE * len(found.weights) <= found.samples <= MOST_SAMPLES:
        raise invalid("points", f"{len(found.weights)} of {found.samples} samples: over a quarter")
    if found.nearest < found.bound * (1 - 1e-6):
        raise invalid("nearest", f"{found.nearest:g} is below the bound {found.bound:g}")
    _privacy(found)


def _privacy(found: Specification) -> None:
    if found.privacy is None:
        if found.bound <= 0:
            raise invalid("bound", "nothing kept the points away from the samples")
        return
    numbers = np.array(astuple(found.privacy))
    if not ((numbers > 0) & (numbers <= LARGEST)).all() or found.privacy.delta >= 1:
        raise invalid("privacy", "a number of it is not above 0, or far too large")


def _labels(found: Specification) -> None:
    classes = len(found.labels)
    if len(set(found.labels)) != classes:
        raise invalid("labels", "one is there twice")
    if any(not 1 <= len(label.encode()) <= MOST_LABEL_BYTES for label in found.labels):
        raise invalid("labels", f"one is empty or longer than {MOST_LABEL_BYTES} bytes")
    places = found.point_classes
    if classes == 0:
        if (places != -1).any():
            raise invalid("point_classes", "a point has a class where there are none")
        return
    if set(places.tolist()) != set(range(classes)):
        raise invalid("point_classes", "a class has no point, or a point no class")
    if int(found.class_samples.sum()) != found.samples:
        raise invalid("class_samples", "they do not add up to the samples")
    if (np.bincount(places, minlength=classes) * LEAST_SHARE > found.class_samples).any():
        raise invalid("point_classes", "a class has more points than a quarter of its samples")
