"""The samples of a pack: of classes of its models, brought to the inputs of the pack."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from packer_svc.fusion.conversion import converted, fed_alike
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.manifest import Part
from packer_svc.fusion.samples import PackSamples, SampleBlock
from svckit.input_spec import InputSpec


def read_inputs(told: Sequence[dict[str, Any]]) -> tuple[InputSpec, ...]:
    """Reads inputs from JSON."""
    return tuple(map(InputSpec.from_json, told))


def gather_samples(
    fragments: Sequence[Mapping[str, Any]], shared: Sequence[InputSpec]
) -> PackSamples:
    """Reads the samples of every fragment's class, each class once an output.

    Args:
        fragments: Each with ``samples``, ``class``, ``output``, ``inputs`` and ``part``.
        shared: The pack's inputs, which the samples are brought to.

    Raises:
        FusionError: SAMPLES_CLASS_MISSING, a fragment's class has no sample.
    """
    blocks: dict[tuple[str, int, int], SampleBlock] = {}
    for one in fragments:
        _, source_class, output = key = (one["samples"], one["class"], one["output"])
        if key in blocks:
            continue
        blocks[key] = read_class(one, source_class, output, shared)
        if not len(blocks[key]):
            raise _no_samples(Part(**one["part"]))
    return PackSamples.of(list(blocks.values()))


def read_class(
    one: Mapping[str, Any], source_class: int, output: int, shared: Sequence[InputSpec]
) -> SampleBlock:
    """Reads the samples of a class; none where it has none.

    Args:
        one: A fragment of its model, with ``samples``, ``inputs`` and ``part``.
        source_class: The class in its model.
        output: The place of the class in the pack.
        shared: The pack's inputs, which the samples are brought to.
    """
    with np.load(one["samples"], allow_pickle=False) as arrays:
        chosen = arrays["labels"] == source_class
        inputs = {name: arrays[name][chosen] for name in arrays.files if name != "labels"}
    own = read_inputs(one["inputs"])
    name = f"{one['part']['samples_digest']} {source_class}{_told(own, shared)}"
    if chosen.any():
        inputs = dict(converted(inputs, own, shared))
    return SampleBlock(inputs, output, name)


def _told(own: Sequence[InputSpec], shared: Sequence[InputSpec]) -> str:
    """Tells converted samples from those that they were made of."""
    if fed_alike(own, shared):
        return ""
    return " as " + json.dumps([one.to_json() for one in (*own, *shared)])


def _no_samples(part: Part) -> FusionError:
    return FusionError(
        FusionReason.SAMPLES_CLASS_MISSING,
        f"The samples of {part.fragment} have none of its class, {part.label!r} in the pack.",
        advice="Submit its model again with samples of every class.",
        metadata={"label": part.label},
    )
