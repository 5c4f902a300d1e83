"""What is left of the wanted classes behind a block that another model's block feeds.

A block keeps what its own model's classes need. What it makes in its own model therefore says
little of what it makes of another model's features: late blocks of a network that knows other
classes lose what the front has told apart. So every pair of blocks is tried, with a stitch that is
fitted on a few samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from packer_svc.fusion.stitches import Goal, Shape, fit_quickly, joinable
from packer_svc.reassembly.cutting import AnyArray, CutModel
from packer_svc.reassembly.measured import Measured
from packer_svc.reassembly.network import follows, through
from packer_svc.reassembly.probes import left_unexplained
from packer_svc.reassembly.sets import Block, Cover, Point
from packer_svc.reassembly.similarity import gridded

FIT_SAMPLES = 48
"""On how many samples the stitches of pairs are fitted."""

Pair = tuple[int, int]


def seam_probes(
    measured: Measured,
    cover: Cover,
    unlabelled: Mapping[str, AnyArray],
    report: Callable[[int, int], None],
) -> dict[Pair, float]:
    """What every pair of blocks that can be joined leaves unexplained of the wanted classes.

    The block in front stands in its own model; the stitch is fitted on other samples than those
    that the classes are told on, where there are any.

    Args:
        measured: Models and the samples of the wanted classes.
        cover: The blocks.
        unlabelled: Samples to fit on.
        report: Told blocks in front done and in all.

    Returns:
        As `left_unexplained`, by the places of both blocks.
    """
    blocks = cover.blocks
    few = {n: a[:: -(-len(a) // FIT_SAMPLES)] for n, a in unlabelled.items()}
    found: dict[Pair, float] = {}
    stages = 1 + max(block.stage for block in blocks)
    for stage in range(1, stages):
        front = [place for place, block in enumerate(blocks) if block.stage == stage - 1]
        behind = [place for place, block in enumerate(blocks) if block.stage == stage]
        goals = {b: Goal.of(value_at(measured.models, blocks[b].starts_at, few)) for b in behind}
        for number, a in enumerate(front):
            report((stage - 1) * len(front) + number, (stages - 1) * len(front))
            # Of one block in front at a time: of all together they may not fit into memory.
            point = blocks[a].ends_at
            fed, seen = (value_at(measured.models, point, one) for one in (few, measured.inputs))
            for b in behind:
                if follows(blocks[a], blocks[b]):
                    found[a, b] = measured.probes[blocks[b].model][blocks[b].end]
                elif joinable(*seam_shapes(measured, blocks[a], blocks[b])):
                    stitch = fit_quickly(fed, goals[b])
                    model = measured.models[blocks[b].model]
                    made = through(model, blocks[b], {}, stitch(seen))
                    found[a, b] = left_unexplained(_first(made), measured.labels)
    return found


def seam_shapes(measured: Measured, before: Block, behind: Block) -> tuple[Shape, Shape]:
    """What a stitch between two blocks reads and makes."""
    reads = measured.shapes[before.model][before.end]
    return reads, measured.shapes[behind.model][behind.first]


def value_at(models: Sequence[CutModel], point: Point, inputs: Mapping[str, AnyArray]) -> Tensor:
    """The value at a cut point of a model on samples."""
    model, place = models[point[0]], point[1]
    name = model.pieces[place - 1].end if place else model.pieces[0].start
    return model.run(inputs, [name])[name]


def _first(made: Mapping[str, Tensor]) -> NDArray[np.float64]:
    return gridded(next(iter(made.values())))
