"""Blocks of channels: what is kept is only fast where its counts fill the processor's vectors."""

import math
from collections.abc import Iterator

import torch

from onnxgraph.groups import UnitGroup

AVX512_BLOCK = 16
"""Floats in a register of AVX-512, and ONNX Runtime's block of channels there."""

OTHER_BLOCK = 8
"""The same with AVX2; NEON's four fill two."""


def machine_block() -> int:
    """The block of channels that suits this machine's processor (ALGORITHM.md, section 3)."""
    capability = torch.backends.cpu.get_cpu_capability()
    return AVX512_BLOCK if capability == "AVX512" else OTHER_BLOCK


def narrower(block: int) -> Iterator[int]:
    """A block and its halves down to a single channel."""
    while block >= 1:
        yield block
        block //= 2


def grain(group: UnitGroup, block: int) -> int:
    """The number of units that fill blocks: a unit of several channels may be one by itself."""
    return block // math.gcd(block, group.places.shape[1])


def fitting_grain(group: UnitGroup, block: int) -> int:
    """The grain of the widest block, no wider than `block`, that leaves a group a choice."""
    grains = (grain(group, narrow) for narrow in narrower(block))
    return next(found for found in grains if found == 1 or 2 * found <= group.units)
