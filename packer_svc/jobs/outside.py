"""Samples of classes that a pack's models know and the pack has not: real examples of neither."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from packer_svc.fusion.probes import spread
from packer_svc.fusion.samples import SampleBlock
from packer_svc.jobs.class_samples import ClassReader
from svckit.dealing import sample_digests

AnyArray = npt.NDArray[np.generic]

MOST_SAMPLES = 500
"""Samples outside of a pack, spread evenly over their classes. Of 90 classes 5 samples each are
worth as much as 20 each, and a model of a thousand classes stays affordable."""


@dataclass(frozen=True)
class _Source:
    """One class of a fragment's model."""

    fragment: Mapping[str, Any]
    source_class: int


def outside_blocks(
    fragments: Sequence[Mapping[str, Any]],
    labels: Sequence[str],
    inside: Iterable[SampleBlock],
    reader: ClassReader,
) -> list[SampleBlock]:
    """Reads the samples of all classes that the fragments' models know and the pack has not.

    A class is outside if no fragment of the pack stands for it, and neither the pack nor a fragment
    has its label: what another model calls a cat may well be one. Equal labels of several models
    are one class. A sample that is among those of the pack, or of another class, is left aside.

    Args:
        fragments: Each with ``samples``, ``class``, ``model_labels``, ``inputs`` and ``part``.
        labels: The pack's labels.
        inside: The samples of the pack's classes.
        reader: Reads samples.

    Returns:
        Blocks whose outputs are numbers beyond the pack's, one for each class. Some `MOST_SAMPLES`
        samples at most; none where every class is in the pack.
    """
    classes = list(_classes(fragments, labels).values())
    chosen = [classes[place] for place in spread(len(classes), min(len(classes), MOST_SAMPLES))]
    share = MOST_SAMPLES // max(len(chosen), 1)
    seen = {digest for block in inside for digest in sample_digests(block.inputs)}
    found = []
    for place, sources in enumerate(chosen):
        output, each = len(labels) + place, -(-share // len(sources))
        read = (reader.block(one.fragment, one.source_class, output) for one in sources)
        new = (_unseen(block, each, seen) for block in read if len(block))
        found += [block for block in new if len(block)]
    return found


def _classes(
    fragments: Sequence[Mapping[str, Any]], labels: Sequence[str]
) -> dict[str, list[_Source]]:
    """The classes outside by their folded labels, each with all that there is of it."""
    own = [one["model_labels"][one["class"]] for one in fragments if one["model_labels"]]
    taken = {_folded(label) for label in (*labels, *own)}
    met = {(one["part"]["samples_digest"], one["class"]) for one in fragments}
    found: dict[str, list[_Source]] = {}
    for one in fragments:
        digest = one["part"]["samples_digest"]
        for source_class, label in enumerate(one["model_labels"]):
            if _folded(label) in taken or (digest, source_class) in met:
                continue
            met.add((digest, source_class))
            found.setdefault(_folded(label), []).append(_Source(one, source_class))
    return found


def _folded(label: str) -> str:
    return label.strip().casefold()


def _unseen(block: SampleBlock, most: int, seen: set[str]) -> SampleBlock:
    """At most `most` samples of a class that were not met before."""
    new = []
    for place, digest in enumerate(sample_digests(block.inputs)):
        if digest not in seen:
            seen.add(digest)
            new.append(place)
    kept = np.array(new, dtype=np.int64)[spread(len(new), min(len(new), most))]
    if len(kept) == len(block):
        return block
    key = f"{block.key} {hashlib.sha256(kept.tobytes()).hexdigest()}"
    inputs = {name: values[kept] for name, values in block.inputs.items()}
    return SampleBlock(inputs, block.output, key)
