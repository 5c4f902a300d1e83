"""Passing minibatches through a network from front to back, each layer once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.view import TorchView
from slicer_svc.slicing.samples import Samples

BATCH = 64
"""Samples in a minibatch, at most."""

BATCH_BYTES = 4 << 20
"""Inputs in a minibatch, at most, but for one sample: activations are many times as large."""

KEPT_BYTES = 1 << 29
"""Activations kept between two stops, over all minibatches; above it each stop starts anew."""


@dataclass(frozen=True)
class Minibatch:
    """Some samples as tensors.

    Attributes:
        inputs: One tensor per graph input by its name, first axis the sample.
        weights: Float64 `(n,)`.
    """

    inputs: Mapping[str, Tensor]
    weights: Tensor


def minibatches(samples: Samples, weights: NDArray[np.float64]) -> tuple[Minibatch, ...]:
    """Cuts samples, in their order, into minibatches of at most `BATCH` and `BATCH_BYTES`."""
    of_one = sum(array.nbytes for array in samples.inputs.values()) // len(samples)
    size = min(BATCH, max(1, BATCH_BYTES // max(1, of_one)))
    return tuple(
        Minibatch(
            inputs={
                name: torch.from_numpy(np.ascontiguousarray(array[start : start + size]))
                for name, array in samples.inputs.items()
            },
            weights=torch.from_numpy(weights[start : start + size].copy()),
        )
        for start in range(0, len(samples), size)
    )


class Route:
    """The order of a graph's nodes, and which values are alive between any two of them."""

    def __init__(self, model: ir.Model) -> None:
        self._places = {str(node.name): place for place, node in enumerate(model.graph)}
        self._born: dict[str, int] = {}
        self._last: dict[str, int] = {}
        for place, node in enumerate(model.graph):
            for value in node.inputs:
                if value is not None and not value.is_initializer():
                    self._last[str(value.name)] = place
            for value in node.outputs:
                self._born[str(value.name)] = place
        for value in model.graph.outputs:
            self._last[str(value.name)] = len(self._places)

    def place(self, node: str) -> int:
        """The node's place in the graph's order."""
        return self._places[node]

    def alive(self, place: int) -> tuple[str, ...]:
        """Values made before the node at `place` that it or a later one still reads.

        Graph inputs are left out: they are always at hand.
        """
        return tuple(
            name
            for name, last in self._last.items()
            if last >= place and self._born.get(name, place) < place
        )


class Walk:
    """A pass of minibatches through one view that stops where it is told to.

    A view whose weights behind the last stop are changed goes on with the new ones.
    """

    def __init__(self, view: TorchView, route: Route, batches: Sequence[Minibatch]) -> None:
        self._view = view
        self._route = route
        self._batches = batches
        self._known: list[dict[str, Tensor]] = [{} for _ in batches]

    def advance(self, place: int, fetch: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Goes on to just before the node at `place`, one minibatch at a time.

        Args:
            place: Where to stop, not before the last stop.
            fetch: Values wanted, made before `place`, and not before the last stop unless they
                are still read behind it.

        Yields:
            The wanted values of each minibatch, in the minibatches' order.
        """
        alive = self._route.alive(place)
        wanted = list(dict.fromkeys([*alive, *fetch]))
        bytes_kept = 0
        for number, batch in enumerate(self._batches):
            with torch.no_grad():
                values = self._view.run(batch.inputs, fetch=wanted, start=self._known[number])
            kept = {name: values[name] for name in alive}
            bytes_kept += sum(value.nbytes for value in kept.values())
            self._known[number] = kept if bytes_kept <= KEPT_BYTES else {}
            yield {name: values[name] for name in fetch}

    def go_to(self, place: int) -> None:
        """Goes on to just before the node at `place`."""
        for _ in self.advance(place, ()):
            pass

    def look_ahead(self, fetch: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Computes values behind the last stop, and stays there.

        Yields:
            The wanted values of each minibatch, in the minibatches' order.
        """
        for batch, known in zip(self._batches, self._known, strict=True):
            with torch.no_grad():
                yield self._view.run(batch.inputs, fetch=fetch, start=known)
