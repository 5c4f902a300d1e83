"""What must hold of every specification, whoever it comes from."""

from __future__ import annotations

from dataclasses import astuple
from typing import Final

import numpy as np

from specification.errors import SpecificationError, SpecificationReason, invalid
from specification.model import LEAST_SHARE, VERSION, Space, Specification

MOST_POINTS: Final = 4096
MOST_DIMENSIONS: Final = 16384
MOST_CLASSES: Final = 1024
"""A search compares each class of a task with each class of a model and deals these out: that takes
the third power of their number; models may have more classes than a search can look into."""
MOST_SAMPLES: Final = 10**9
MOST_LABEL: Final = 256
"""Characters of a label, as many as a model's label may have."""
MOST_SPACE_LETTERS: Final = 1024
"""Characters of a space's kind, and of its key: some inputs have a vocabulary's digest each."""
LABEL_FORM: Final = f"text of 1 to {MOST_LABEL} printable characters"
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


def check_dimensions(space: Space) -> None:
    """Refuses a space of more dimensions than a specification may have.

    Raises:
        SpecificationError: SPECIFICATION_INVALID.
    """
    if not 1 <= space.dimensions <= MOST_DIMENSIONS:
        raise invalid("dimensions", f"{space.dimensions}, not 1 to {MOST_DIMENSIONS}")


def _shapes(found: Specification) -> None:
    for name in ("kind", "key"):
        text = getattr(found.space, name)
        if len(text) > MOST_SPACE_LETTERS or not text.isprintable():
            raise invalid("space", f"its {name} is too long, or not printable")
    count, dimensions, classes = len(found.weights), found.space.dimensions, len(found.labels)
    check_dimensions(found.space)
    if classes > MOST_CLASSES:
        raise invalid("labels", f"{classes}, at most {MOST_CLASSES} can be")
    if not 1 <= count <= MOST_POINTS:
        raise invalid("points", f"{count}, not 1 to {MOST_POINTS}")
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


def is_label(text: str) -> bool:
    """Whether a class may be called so."""
    # What is not printable may not even be text: half of a surrogate pair has no bytes.
    return len(text) <= MOST_LABEL and text.isprintable() and bool(text.strip())


def _labels(found: Specification) -> None:
    classes = len(found.labels)
    if len(set(found.labels)) != classes:
        raise invalid("labels", "one is there twice")
    if not all(map(is_label, found.labels)):
        raise invalid("labels", f"one is no {LABEL_FORM}")
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
