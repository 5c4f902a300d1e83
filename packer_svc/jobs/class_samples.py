"""The samples of a pack: of classes of its models, brought to the inputs of the pack."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from packer_svc.fusion.conversion import converted, fed_alike
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.manifest import Part
from packer_svc.fusion.samples import PackSamples, SampleBlock
from svckit.input_spec import InputSpec
from svckit.samples import MAX_BYTES, Arrays, read_checked

HELD_BYTES: Final = 2 * MAX_BYTES
"""How much of files is held to be read from again, in bytes."""


def read_inputs(told: Sequence[dict[str, Any]]) -> tuple[InputSpec, ...]:
    """Reads inputs from JSON."""
    return tuple(map(InputSpec.from_json, told))


class ClassReader:
    """Reads samples of classes as a pack is fed them, each file once unless files are large.

    Args:
        shared: The pack's inputs, which the samples are brought to.
        held_bytes: How much of files is held to be read from again; those that were read last.
    """

    def __init__(self, shared: Sequence[InputSpec], held_bytes: int = HELD_BYTES) -> None:
        self._shared = shared
        self._held_bytes = held_bytes
        self._files: OrderedDict[str, tuple[Arrays, NDArray[np.generic]]] = OrderedDict()

    def block(self, one: Mapping[str, Any], source_class: int, output: int) -> SampleBlock:
        """Reads the samples of a class; none where it has none.

        Args:
            one: A fragment of its model, with ``samples``, ``inputs`` and ``part``.
            source_class: The class in its model.
            output: The place of the class in the pack.
        """
        arrays, labels = self._file(one["samples"])
        chosen = labels == source_class
        inputs = {name: array[chosen] for name, array in arrays.items()}
        own = read_inputs(one["inputs"])
        name = f"{one['part']['samples_digest']} {source_class}{_told(own, self._shared)}"
        if chosen.any():
            inputs = dict(converted(inputs, own, self._shared))
        return SampleBlock(inputs, output, name)

    def _file(self, path: str) -> tuple[Arrays, NDArray[np.generic]]:
        if path not in self._files:
            self._files[path] = read_checked(path)
        self._files.move_to_end(path)
        found = self._files[path]
        while self._files and sum(map(_bytes_of, self._files.values())) > self._held_bytes:
            self._files.popitem(last=False)
        return found


def gather_samples(fragments: Sequence[Mapping[str, Any]], reader: ClassReader) -> PackSamples:
    """Reads the samples of every fragment's class, each class once an output.

    Args:
        fragments: Each with ``samples``, ``class``, ``output``, ``inputs`` and ``part``.
        reader: Reads them.

    Raises:
        FusionError: SAMPLES_CLASS_MISSING, a fragment's class has no sample.
    """
    blocks: dict[tuple[str, int, int], SampleBlock] = {}
    for one in fragments:
        _, source_class, output = key = (one["samples"], one["class"], one["output"])
        if key in blocks:
            continue
        blocks[key] = reader.block(one, source_class, output)
        if not len(blocks[key]):
            raise _no_samples(Part(**one["part"]))
    return PackSamples.of(list(blocks.values()))


def _bytes_of(file: tuple[Arrays, NDArray[np.generic]]) -> int:
    arrays, labels = file
    return labels.nbytes + sum(array.nbytes for array in arrays.values())


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
