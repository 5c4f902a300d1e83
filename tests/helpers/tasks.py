"""Tasks that models are looked for: specifications of blobs, and what is wrong with some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sliceandpack.slicer.v1 import search_pb2 as pb

from specification.codec import to_bytes
from specification.making import Labelling, make
from specification.model import Specification
from svckit.input_messages import decode_input
from svckit.input_spec import InputSpec, Tensor
from tests.helpers.submissions import Arrays, blobs, picture


def specified(arrays: Arrays, names: Sequence[str] = ()) -> Specification:
    """The specification of pictures; of their classes where these have names."""
    labelling = Labelling(tuple(names), arrays["labels"]) if names else None
    spec = replace(decode_input(picture()), shape=(1, 8, 8), element_type="float32")
    return make({"x": arrays["x"]}, [spec], labelling, seed=0)


def blob_task(names: Sequence[str], *, seed: int = 7, per_class: int = 12) -> pb.Task:
    """A task of blobs that no model has seen, its classes called so."""
    found = specified(blobs(len(names), per_class, seed), names)
    return pb.Task(specification=to_bytes(found))


def noise(classes: int = 1) -> Arrays:
    """Pictures of nothing."""
    random = np.random.default_rng(3)
    pixels = random.random(size=(12 * classes, 1, 8, 8)).astype(np.float32)
    return {"x": pixels, "labels": np.tile(np.arange(classes, dtype=np.int64), 12)}


def table_task(columns: int) -> pb.Task:
    """A task of plain numbers."""
    points: NDArray[Any] = np.random.default_rng(0).normal(size=(20, columns))
    spec = InputSpec("points", (columns,), "float32", Tensor())
    labelling = Labelling(("row",), np.zeros(20, np.int64))
    found = make({"points": points.astype(np.float32)}, [spec], labelling, seed=0)
    return pb.Task(specification=to_bytes(found))
