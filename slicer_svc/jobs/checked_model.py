"""What planning and slicing read: a checked model with its samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import onnx_ir as ir

from onnxgraph.serialise import from_trusted_bytes
from slicer_svc.input_spec import InputSpec
from slicer_svc.jobs.semantics import augmentation_for
from slicer_svc.samples_file import read_samples
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.samples import Samples


@dataclass(frozen=True, eq=False)
class CheckedModel:
    """A model that passed the checks.

    Attributes:
        graph: The normalised graph.
        samples: Its samples.
        augmentation: What may be done to the samples.
    """

    graph: ir.Model
    samples: Samples
    augmentation: Augmentation

    @classmethod
    def read(cls, request: dict[str, Any]) -> Self:
        """Reads the paths ``normalised`` and ``samples`` and the ``inputs`` of a request."""
        inputs = [InputSpec.from_json(spec) for spec in request["inputs"]]
        return cls(
            from_trusted_bytes(Path(request["normalised"]).read_bytes()),
            read_samples(Path(request["samples"]), inputs),
            augmentation_for(inputs),
        )
