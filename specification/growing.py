"""Arrays that grow at their end."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROOM: Final = 1.5
"""How much larger than needed the memory is made; it is the system's until it is written to."""

T = TypeVar("T", bound=np.generic)


class Growing(Generic[T]):
    """An array whose last axis grows, without a copy of it for each time that it does.

    Args:
        kind: The type of its numbers.
        shape: Its other axes.
    """

    def __init__(self, kind: type[T], *shape: int) -> None:
        self._memory: NDArray[T] = np.empty((*shape, 0), kind)
        self._used = 0

    @property
    def values(self) -> NDArray[T]:
        """What was appended; to be asked for anew after every change."""
        return self._memory[..., : self._used]

    def append(self, values: ArrayLike) -> None:
        """Appends along the last axis.

        Args:
            values: `(*shape, n)`.
        """
        end = self._used + np.shape(values)[-1]
        if end > self._memory.shape[-1]:
            larger = np.empty((*self._memory.shape[:-1], int(_ROOM * end)), self._memory.dtype)
            larger[..., : self._used] = self.values
            self._memory = larger
        self._memory[..., self._used : end] = values
        self._used = end

    def take(self, places: NDArray[np.int64]) -> None:
        """Leaves nothing but these places of the last axis, in this order."""
        self._memory = np.take(self.values, places, axis=-1)
        self._used = len(places)
