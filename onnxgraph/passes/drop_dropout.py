"""Remove Dropout, which does nothing at inference."""

import onnx_ir as ir

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.passes.rewire import replace_node


class DropDropout(ir.passes.InPlacePass):
    """Replaces every Dropout by Identity.

    Requires: opset 12 or later, where the training mode is an input; constants lifted.
    Ensures: no Dropout node whose mask nobody reads.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Removes the nodes in place.

        Raises:
            GraphError: `GRAPH_TRAINING_MODE` for a Dropout that would drop.
        """
        modified = False
        for node in list(model.graph):
            if node.op_type != "Dropout":
                continue
            _check_inference(node)
            if any(mask.uses() or mask.is_graph_output() for mask in node.outputs[1:]):
                continue
            replace_node(node, "Identity", [node.inputs[0]])
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _check_inference(node: ir.Node) -> None:
    mode = node.inputs[2] if len(node.inputs) > 2 else None
    if mode is not None and (mode.const_value is None or bool(mode.const_value.numpy().any())):
        raise GraphError(
            GraphReason.GRAPH_TRAINING_MODE,
            f"Node {node.name!r} drops values at random.",
            advice="Call model.eval() before exporting the model.",
            node=node.name,
        )
