"""The samples that a clone is made of."""

from __future__ import annotations

from benchmarks.paper.bench import Bench
from benchmarks.paper.samples import Draw
from benchmarks.paper.tasks import Classes
from packer_svc.fusion.samples import PackSamples, SampleBlock


def clone_samples(bench: Bench, draw: Draw, classes: Classes) -> PackSamples:
    """The samples of a target's classes and of those that are cloned into it.

    Args:
        bench: Names the networks' input.
        draw: Which samples.
        classes: The target's first.
    """
    found = draw.samples(classes, bench.input_name)
    blocks = []
    for place in range(len(classes)):
        rows = found.labels == place
        inputs = {name: array[rows] for name, array in found.inputs.items()}
        blocks.append(SampleBlock(inputs, place, str(place)))
    return PackSamples.of(blocks)
