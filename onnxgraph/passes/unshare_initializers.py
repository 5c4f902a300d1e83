"""Give every consumer its own copy of an initializer."""

import onnx_ir as ir

from onnxgraph.passes.names import fresh_name


class UnshareInitializers(ir.passes.InPlacePass):
    """Copies an initializer once for every further input that reads it.

    Exporters share initializers by equal value, not only by tied weights: two normalisers that
    start at one have one scale. Cutting one consumer must not cut the other. The data are not
    copied: tensors are immutable.

    Ensures: every initializer has at most one use.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Copies in place; the first reader keeps the original name."""
        graph = model.graph
        taken = {value.name for value in ir.convenience.create_value_mapping(graph).values()}
        modified = False
        position = {node: i for i, node in enumerate(graph)}
        for name, value in list(graph.initializers.items()):
            uses = sorted(value.uses(), key=lambda use: (position[use.node], use.idx))
            for use in uses if value.is_graph_output() else uses[1:]:
                copy = ir.Value(
                    name=fresh_name(name, taken),
                    shape=value.shape,
                    type=value.type,
                    const_value=value.const_value,
                )
                graph.register_initializer(copy)
                use.node.replace_input_with(use.idx, copy)
                modified = True
        return ir.passes.PassResult(model, modified=modified)
