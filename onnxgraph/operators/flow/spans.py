"""Where the elements of some axes stand once a Reshape has merged and split them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd, prod

import numpy as np

from onnxgraph.operators.operator import Dims
from onnxgraph.operators.units import AxisUnits, Grid, Indices, Labels

_BATCH = 1_000_003
"""Stands for the batch: a prime that no fixed size of a real graph contains."""


def labels_of(source: AxisUnits | Grid, axis: int) -> Labels:
    """Units along one axis, or of a grid."""
    if isinstance(source, Grid):
        return source.axes, source.units, source.phase
    return (axis,), source.units, source.phase


@dataclass(frozen=True)
class _Span:
    """Input axes and output axes that hold the same elements in the same order."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Regrouping:
    """What a Reshape does with the axes of its input.

    Attributes:
        before: The sizes of the input; one may be a multiple of `_BATCH`.
        after: The sizes of the output.
        spans: The shortest runs of axes with equal products, in order.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    spans: tuple[_Span, ...]

    @classmethod
    def of(cls, before: Dims, after: Dims, merged: int = 1) -> Regrouping | None:
        """Matches two shapes of at most one open size each; None if they cannot be.

        Args:
            before: The input's shape.
            after: The output's shape.
            merged: Places that are merged with the batch in the input's open size.
        """
        if not before or before.count(None) > 1 or after.count(None) > 1:
            return None
        left = prod(size for size in before if size is not None)
        right = prod(size for size in after if size is not None)
        if not left or not right:
            return None
        if None in before:
            # The open sizes are the smallest multiples of the batch that make both products equal.
            shared = gcd(left, right)
            times = _BATCH * merged // gcd(merged, right // shared)
            ours, theirs = times * right // shared, times * left // shared
        else:
            ours, theirs = 1, left // right
        regrouped = cls._split(
            tuple(ours if size is None else size for size in before),
            tuple(theirs if size is None else size for size in after),
        )
        return regrouped if prod(regrouped.before) == prod(regrouped.after) else None

    @classmethod
    def _split(cls, before: tuple[int, ...], after: tuple[int, ...]) -> Regrouping:
        spans: list[_Span] = []
        left = right = 0
        while left < len(before) or right < len(after):
            start = left, right
            ours = theirs = 1
            while left == start[0] or right == start[1] or ours != theirs:
                if left < len(before) and (ours <= theirs or right == len(after)):
                    ours, left = ours * before[left], left + 1
                elif right < len(after):
                    theirs, right = theirs * after[right], right + 1
                else:
                    break
            spans.append(_Span(tuple(range(start[0], left)), tuple(range(start[1], right))))
        return cls(before, after, tuple(spans))

    def move(self, labels: Labels) -> Labels | None:
        """The output axes over which units are spread, at least one, and what stands there.

        None if the batch is merged into their axes and does not stand in front of them, or an axis
        of size 1 goes.
        """
        axes, units, phase = labels
        spans = [span for span in self.spans if set(axes) & set(span.inputs)]
        inputs = [axis for span in spans for axis in span.inputs]
        outputs = [axis for span in spans for axis in span.outputs]
        before, after = self._fixed(spans, inputs, outputs)
        if before is None or after is None or not outputs:
            return None
        spread = [before[place] if axis in axes else 1 for place, axis in enumerate(inputs)]
        if prod(spread) != units.size:
            return None
        alone = [1 if axis in axes else before[place] for place, axis in enumerate(inputs)]
        others = prod(alone)
        place = np.arange(others, dtype=np.int64).reshape(alone)
        full = np.broadcast_to(units.reshape(spread), before).reshape(after)
        phases = (phase.reshape(spread) * others + place).reshape(after)
        kept = [place for place in range(len(outputs)) if _varies(full, place)]
        if not kept:
            kept = [max(range(len(outputs)), key=lambda place: after[place])]
        index = tuple(slice(None) if place in kept else 0 for place in range(len(outputs)))
        return (
            tuple(outputs[place] for place in kept),
            full[index].copy(),
            phases[index].copy(),
        )

    def _fixed(
        self, spans: Iterable[_Span], inputs: list[int], outputs: list[int]
    ) -> tuple[list[int] | None, list[int] | None]:
        """Sizes of the axes without the batch, where it stands in front on both sides."""
        found = []
        for sizes, chosen, ends in (
            (self.before, inputs, [span.inputs for span in spans]),
            (self.after, outputs, [span.outputs for span in spans]),
        ):
            first = {next((a for a in axes if sizes[a] != 1), -1) for axes in ends}
            held = [axis for axis in chosen if sizes[axis] % _BATCH == 0]
            if not set(held) <= first:
                return None, None
            found.append([sizes[a] // _BATCH if a in held else sizes[a] for a in chosen])
        return found[0], found[1]


def _varies(units: Indices, place: int) -> bool:
    first = np.take(units, [0], axis=place)
    return bool((units != first).any())
