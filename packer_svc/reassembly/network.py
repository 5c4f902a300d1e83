"""Networks of blocks: chosen, stitched together on samples, run, and written as one graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import onnx_ir as ir
from torch import Tensor

from onnxgraph.chain import Link, chain
from onnxgraph.classifier import FEATURES, SCORES
from packer_svc.fusion.features import FragmentFeatures, joined
from packer_svc.fusion.stitches import Stitch, fit_stitch, stitch_cost, stitch_nodes
from packer_svc.reassembly.cutting import BATCH, AnyArray, CutModel
from packer_svc.reassembly.sets import Block


@dataclass(frozen=True, eq=False)
class Network:
    """Blocks one behind the other.

    Attributes:
        models: All models of the market.
        blocks: The blocks from the front to the back.
        stitches: What leads to each block; None for the first, and for one that follows the
            block that it follows in its own model.
    """

    models: Sequence[CutModel]
    blocks: tuple[Block, ...]
    stitches: tuple[Stitch | None, ...]

    @property
    def parameters(self) -> int:
        """Floating parameters of blocks and stitches."""
        return _sum(self, "parameters") + sum(s.parameters for s in self.stitches if s)

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of blocks and stitches, per sample."""
        return _sum(self, "macs") + sum(
            stitch_cost(s.reads, s.makes)[1] for s in self.stitches if s
        )

    def features(self, inputs: Mapping[str, AnyArray]) -> FragmentFeatures:
        """Features and class scores of samples."""
        count = len(next(iter(inputs.values())))
        # All blocks on few samples: what is between two of them may be large.
        found = [
            self._outputs({name: array[first : first + BATCH] for name, array in inputs.items()})
            for first in range(0, count, BATCH)
        ]
        return joined(found)

    def _outputs(self, inputs: Mapping[str, AnyArray]) -> FragmentFeatures:
        value: Tensor | None = None
        found: dict[str, Tensor] = {}
        for block, stitch in zip(self.blocks, self.stitches, strict=True):
            if value is not None and stitch is not None:
                value = stitch(value)
            found = through(self.models[block.model], block, inputs, value)
            value = next(iter(found.values()))
        return FragmentFeatures(
            found[FEATURES].flatten(1).numpy(), found[SCORES].flatten(1).numpy()
        )

    def graph(self) -> ir.Model:
        """The network as a graph with the outputs "features" and "scores"."""
        links = []
        for number, (block, stitch) in enumerate(zip(self.blocks, self.stitches, strict=True)):
            model = self.models[block.model]
            bridge = None
            if stitch is not None:
                bridge = partial(_bridge, stitch=stitch, name=f"stitch{number}")
            start = model.pieces[block.first].start
            links.append(Link(model.graph, f"block{number}.", start, ends_of(model, block), bridge))
        return chain(links, (FEATURES, SCORES))


def stitched(
    models: Sequence[CutModel],
    blocks: Sequence[Block],
    inputs: Mapping[str, AnyArray],
    wanted: Mapping[tuple[int, int], Tensor],
) -> Network:
    """Joins blocks; each stitch is fitted behind all that stand before it.

    Args:
        models: All models of the market.
        blocks: The blocks from the front to the back; the first starts at its model's input, the
            last ends at its model's class scores.
        inputs: Samples, labelled or not.
        wanted: What blocks are fed in their own models, of these samples, by model and first piece.

    Raises:
        ValueError: Two blocks cannot be joined.
    """
    stitches: list[Stitch | None] = []
    value: Tensor | None = None
    before: Block | None = None
    for block in blocks:
        stitch = None
        if value is not None and before is not None and not follows(before, block):
            stitch = fit_stitch(value, wanted[block.model, block.first])
            value = stitch(value)
        stitches.append(stitch)
        if block is not blocks[-1]:
            value = next(iter(through(models[block.model], block, inputs, value).values()))
        before = block
    return Network(models, tuple(blocks), tuple(stitches))


def follows(before: Block, block: Block) -> bool:
    """Whether a block stands behind another in one model."""
    return before.model == block.model and before.end == block.first


def through(
    model: CutModel, block: Block, inputs: Mapping[str, AnyArray], value: Tensor | None
) -> dict[str, Tensor]:
    """Runs a block on samples, or on what comes before it."""
    ends = ends_of(model, block)
    if value is None:
        return model.run(inputs, ends)
    return model.run({}, ends, {model.pieces[block.first].start: value})


def ends_of(model: CutModel, block: Block) -> tuple[str, ...]:
    """What a block makes: one value, or features and class scores behind its model's last one."""
    last = block.end == len(model.pieces)
    return (FEATURES, SCORES) if last else (model.pieces[block.end - 1].end,)


def _bridge(tape: ir.tape.Tape, value: ir.Value, stitch: Stitch, name: str) -> ir.Value:
    return stitch_nodes(tape, value, stitch, name)


def _sum(network: Network, what: str) -> int:
    return sum(
        getattr(piece, what)
        for block in network.blocks
        for piece in network.models[block.model].pieces[block.first : block.end]
    )
