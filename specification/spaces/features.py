"""Points of samples in the space that their inputs make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specification.errors import invalid
from specification.model import Space
from specification.spaces.canonical import canonical
from specification.spaces.pictures import picture_features
from specification.spaces.tables import table_features
from specification.spaces.text import text_features
from svckit.input_spec import Image, InputSpec, Text

Samples = Mapping[str, NDArray[Any]]


def features(samples: Samples, inputs: Sequence[InputSpec]) -> tuple[Space, NDArray[np.float64]]:
    """Brings samples into their space.

    Args:
        samples: What the graph is fed, by its inputs' names; the first axis is the sample.
        inputs: What that means.

    Returns:
        The space, and points `(N, D)`: those of several inputs side by side, in the order of their
        names.

    Raises:
        SpecificationError: SPECIFICATION_INVALID, an input has no samples, or some that are not
            finite.
    """
    if not inputs:
        raise invalid("inputs", "there is none")
    kinds, keys, parts = [], [], []
    for spec in sorted(inputs, key=lambda one: one.name):
        if spec.name not in samples:
            raise invalid(f"samples.{spec.name}", "the input has no samples")
        key, points = _of_one(np.asarray(samples[spec.name]), spec)
        if not np.isfinite(points).all():
            raise invalid(f"samples.{spec.name}", "some values are not finite")
        kinds.append(spec.kind)
        keys.append(key)
        parts.append(points)
    if len({len(points) for points in parts}) != 1:
        raise invalid("samples", "the inputs have different numbers of samples")
    found = np.concatenate(parts, axis=1)
    return Space("+".join(kinds), "+".join(keys), found.shape[1]), found


def _of_one(samples: NDArray[Any], spec: InputSpec) -> tuple[str, NDArray[np.float64]]:
    match spec.semantics:
        case Image():
            if samples.ndim != 4:
                raise invalid(f"samples.{spec.name}", f"pictures of shape {samples.shape}")
            return "", picture_features(canonical(samples, spec))
        case Text() as text:
            return text.vocabulary_digest, text_features(samples, text)
        case _:
            points = table_features(samples)
            return str(points.shape[1]), points
