"""What planning and slicing read: a checked model with its samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import onnx_ir as ir

from onnxgraph.serialise import from_trusted_bytes
from slicer_svc.jobs.other_samples import read_other_samples
from slicer_svc.jobs.semantics import augmentation_for
from slicer_svc.samples_file import read_samples
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.samples import Samples
from svckit.input_spec import InputSpec


@dataclass(frozen=True, eq=False)
class CheckedModel:
    """A model that passed the checks.

    Attributes:
        graph: The normalised graph.
        samples: Its samples, then those of other models, without a label.
        augmentation: What may be done to the samples.
    """

    graph: ir.Model
    samples: Samples
    augmentation: Augmentation

    @classmethod
    def read(
        cls, request: dict[str, Any], *, seen: Callable[[Samples], Samples] | None = None
    ) -> Self:
        """Reads a model.

        Args:
            request: ``normalised``, ``samples`` and ``other_samples`` are paths, the last one None
                where there are none; ``inputs`` what `InputSpec.to_json` wrote.
            seen: Leaves out those of its own samples that nothing may see.
        """
        inputs = [InputSpec.from_json(spec) for spec in request["inputs"]]
        samples = read_samples(Path(request["samples"]), inputs)
        if seen is not None:
            samples = seen(samples)
        if request["other_samples"] is not None:
            samples = samples.joined(read_other_samples(Path(request["other_samples"])))
        return cls(
            from_trusted_bytes(Path(request["normalised"]).read_bytes()),
            samples,
            augmentation_for(inputs),
        )
