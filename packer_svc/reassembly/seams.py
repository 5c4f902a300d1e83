"""What is left of the wanted classes behind a block that another model's block feeds.

A block keeps what its own model's classes need. What it makes in its own model therefore says
little of what it makes of another model's features: late blocks of a network that knows other
classes lose what the front has told apart. So every pair of blocks is tried, with a stitch that is
fitted on a few samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from packer_svc.fusion.stitches import Shape, fit_quickly, joinable
from packer_svc.reassembly.cutting import AnyArray, CutModel
from packer_svc.reassembly.measured import Measured
from packer_svc.reassembly.network import follows, through
from packer_svc.reassembly.probes import left_unexplained
from packer_svc.reassembly.sets import Block, Cover
from packer_svc.reassembly.similarity import gridded

FIT_SAMPLES = 48
"""On how many samples the stitches of pairs are fitted."""

Pair = tuple[int, int]
Point = tuple[int, int]
"""A model's place in the market, and how many of its pieces stand in front."""


def seam_probes(
    measured: Measured, cover: Cover, unlabelled: Mapping[str, AnyArray]
) -> dict[Pair, float]:
    """What every pair of blocks that can be joined leaves unexplained of the wanted classes.

    The block in front stands in its own model; the stitch is fitted on other samples than those
    that the classes are told on, where there are any.

    Args:
        measured: Models and the samples of the wanted classes.
        cover: The blocks.
        unlabelled: Samples to fit on.

    Returns:
        As `left_unexplained`, by the places of both blocks.
    """
    blocks = cover.blocks
    labelled, labels = measured.inputs, measured.labels
    few = {n: a[:: -(-len(a) // FIT_SAMPLES)] for n, a in unlabelled.items()}
    found: dict[Pair, float] = {}
    for stage in range(1, 1 + max(block.stage for block in blocks)):
        front = [place for place, block in enumerate(blocks) if block.stage == stage - 1]
        behind = [place for place, block in enumerate(blocks) if block.stage == stage]
        ends = {(blocks[a].model, blocks[a].end) for a in front}
        starts = {(blocks[b].model, blocks[b].first) for b in behind}
        fed, wanted = (values_at(measured.models, points, few) for points in (ends, starts))
        seen = values_at(measured.models, ends, labelled)
        for a in front:
            for b in behind:
                before, block = blocks[a], blocks[b]
                if follows(before, block):
                    found[a, b] = measured.probes[block.model][block.end]
                elif joinable(*seam_shapes(measured, before, block)):
                    point = before.model, before.end
                    stitch = fit_quickly(fed[point], wanted[block.model, block.first])
                    model = measured.models[block.model]
                    made = through(model, block, {}, stitch(seen[point]))
                    found[a, b] = left_unexplained(_first(made), labels)
    return found


def seam_shapes(measured: Measured, before: Block, behind: Block) -> tuple[Shape, Shape]:
    """What a stitch between two blocks reads and makes."""
    reads = measured.shapes[before.model][before.end]
    return reads, measured.shapes[behind.model][behind.first]


def values_at(
    models: Sequence[CutModel], points: set[Point], inputs: Mapping[str, AnyArray]
) -> dict[Point, Tensor]:
    """Values at cut points of models on samples."""
    found = {}
    for number, model in enumerate(models):
        places = sorted(place for one, place in points if one == number)
        names = [model.pieces[p - 1].end if p else model.pieces[0].start for p in places]
        if names:
            values = model.run(inputs, names)
            found.update({(number, p): values[n] for p, n in zip(places, names, strict=True)})
    return found


def _first(made: Mapping[str, Tensor]) -> NDArray[np.float64]:
    return gridded(next(iter(made.values())))
