"""The samples that a pack is fitted on, by the class that they stand for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[np.generic]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SampleBlock:
    """The samples of one class of one model.

    Attributes:
        inputs: One array per input by its name, first axis the sample.
        output: The place of their class in the pack.
        key: Names these samples among all: the digest of their file and their class in it.
    """

    inputs: Mapping[str, AnyArray]
    output: int
    key: str

    def __len__(self) -> int:
        """Number of samples."""
        return len(next(iter(self.inputs.values())))


@dataclass(frozen=True, eq=False)
class PackSamples:
    """The samples of all classes of a pack.

    Attributes:
        blocks: In the order in which their rows stand in `inputs` and `labels`.
        inputs: One array per input by its name, first axis the sample.
        labels: The place of each sample's class in the pack, int64 (n,).
    """

    blocks: tuple[SampleBlock, ...]
    inputs: Mapping[str, AnyArray]
    labels: Labels

    @classmethod
    def of(cls, blocks: Sequence[SampleBlock]) -> "PackSamples":
        """Joins blocks of equal inputs, at least one."""
        inputs = {
            name: np.concatenate([block.inputs[name] for block in blocks])
            for name in blocks[0].inputs
        }
        labels = [np.full(len(block), block.output, dtype=np.int64) for block in blocks]
        return cls(tuple(blocks), inputs, np.concatenate(labels))
