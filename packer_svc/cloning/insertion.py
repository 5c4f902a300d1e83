"""A part put into a target: everything in front of it is the target's own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import onnx_ir as ir

from onnxgraph.chain import Link, chain
from onnxgraph.classifier import FEATURES, SCORES
from onnxgraph.halves import INPUT, behind, in_front
from onnxgraph.serialise import to_bytes
from packer_svc.cloning.positions import Splice
from packer_svc.fusion.stitches import Stitch, stitch_nodes


def inserted(target: ir.Model, part: ir.Model, splice: Splice, adapter: Stitch) -> bytes:
    """The branch of M_c^R that the part makes: M_t[0:R], the adapter, and the part behind it.

    Args:
        target: The target, with the outputs of a fragment.
        part: The part, likewise; both stay as they are.
        splice: Where it is put in.
        adapter: Fitted there, on the target's tensor or on that at the size of the part's.

    Returns:
        A fragment: the target's inputs, the part's outputs. What it shares with the target is
        computed once in a merge of both.
    """
    front = in_front(target, splice.target)
    source = str(front.graph.inputs[0].name)
    stitch = replace(adapter, reads=splice.target.shape)
    bridge = partial(stitch_nodes, stitch=stitch, name="adapter")
    links = [
        Link(front, "target.", source, (splice.target.value,)),
        Link(behind(part, splice.part), "part.", INPUT, (FEATURES, SCORES), bridge),
    ]
    return to_bytes(chain(links, (FEATURES, SCORES)))
