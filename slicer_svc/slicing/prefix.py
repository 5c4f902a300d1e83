"""What a network computes in front of the layer that is trained, kept for every minibatch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from slicer_svc.slicing.assembly import Assembly, Remembering, Restoring
from slicer_svc.slicing.class_data import ClassBatch

PREFIX_BYTES = 1 << 29
"""Activations kept in front of a layer; what is above it is computed anew at every step."""


class Prefix:
    """Minibatches of one class on their way through an assembly, layer by layer.

    Nothing in front of a layer changes while that layer is trained: neither weights nor repairs.

    Attributes:
        batches: The minibatches.
    """

    def __init__(self, assembly: Assembly, batches: Sequence[ClassBatch]) -> None:
        self.batches = batches
        self._assembly = assembly
        self._known: list[dict[str, Tensor]] = [{} for _ in batches]
        self._alive: tuple[str, ...] = ()

    def advance(self, place: int) -> None:
        """Goes on to just before the node at `place`, not before the last stop."""
        self._alive = self._assembly.route.alive(place)
        bytes_kept = 0
        for number in range(len(self.batches)):
            known = self._front(number)
            bytes_kept += sum(value.nbytes for value in known.values())
            self._known[number] = known if bytes_kept <= PREFIX_BYTES else {}

    def run(
        self, step: int, fetch: Sequence[str], repairs: Sequence[Restoring | Remembering] = ()
    ) -> tuple[ClassBatch, dict[str, Tensor]]:
        """Computes values of one minibatch from the last stop on.

        Args:
            step: Which minibatch; counts on from the first again behind the last.
            fetch: Values wanted.
            repairs: Further repairs behind the stop.

        Returns:
            The minibatch and the values; gradients reach back to the stop at most.
        """
        number = step % len(self.batches)
        batch = self.batches[number]
        start = self._known[number] or self._front(number)
        return batch, self._assembly.run(batch.inputs, fetch, start=start, repairs=repairs)

    def _front(self, number: int) -> dict[str, Tensor]:
        with torch.no_grad():
            return self._assembly.run(
                self.batches[number].inputs, self._alive, start=self._known[number]
            )
