"""Run siblings as one where that is wanted."""

from collections.abc import Callable

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from onnxgraph.passes.sink_splits import SinkSplits
from onnxgraph.siblings.find import Layout, Siblings, find_siblings
from onnxgraph.siblings.joined import join


class LayOutSiblings(ir.passes.InPlacePass):
    """Gives each group of siblings the layout that is chosen for it.

    Exact: no number changes but by the order of sums.

    Args:
        choose: Takes siblings, returns one of their layouts.

    Requires: the working opset, nodes in order, shapes inferred, weights as initializers.
    Ensures: what `SinkSplits` does; no node and no weight that nothing reads.
    """

    def __init__(self, choose: Callable[[Siblings], Layout]) -> None:
        super().__init__()
        self._choose = choose

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Lays out in place."""
        modified = False
        for siblings in find_siblings(model):
            layout = self._choose(siblings)
            if layout is not Layout.SEPARATE:
                join(model, siblings, layout)
                modified = True
        if modified:
            model.graph.sort()
            SinkSplits()(model)
            RemoveUnusedNodesPass()(model)
        return ir.passes.PassResult(model, modified=modified)


def uniform(layout: Layout) -> Callable[[Siblings], Layout]:
    """One layout for all siblings that can have it, the nearest to it for the others.

    What reads one value is stacked in any layout but `Layout.SEPARATE`; siblings of unequal shapes
    that cannot be grouped stay apart.
    """

    def choose(siblings: Siblings) -> Layout:
        if layout in siblings.layouts:
            return layout
        stackable = Layout.STACKED in siblings.layouts and layout is not Layout.SEPARATE
        return Layout.STACKED if stackable else Layout.SEPARATE

    return choose
