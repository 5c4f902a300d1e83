"""Remove what describes a graph but does not compute: documentation, metadata, traces, shapes."""

import onnx_ir as ir
from onnx_ir.passes.common import ClearMetadataAndDocStringPass

from onnxgraph.passes.infer_shapes import forget_shapes


class ClearAnnotations(ir.passes.InPlacePass):
    """Clears names of tools, documentation, metadata and the recorded shapes of inner values.

    Exporters store stack traces and paths of the exporting machine in metadata, and shapes that
    may be wrong once the batch size is free. `InferShapes` computes them again.

    Requires: a model without functions.
    Ensures: no documentation or metadata; no shape on any value but inputs and initializers.
    """

    def requires(self, model: ir.Model) -> None:
        """Checks that there are no functions."""
        if model.functions:
            raise ir.passes.PreconditionError("The model has functions.")

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Clears the model in place; always counts as a modification."""
        ClearMetadataAndDocStringPass()(model)
        model.producer_name = model.producer_version = model.domain = None
        model.doc_string = model.model_version = None
        model.metadata_props.clear()
        graph = model.graph
        graph.doc_string = None
        graph.metadata_props.clear()
        graph.name = "graph"
        for node in graph:
            for value in node.outputs:
                value.doc_string = None
                value.metadata_props.clear()
        forget_shapes(model)
        for value in (*graph.inputs, *graph.initializers.values()):
            value.doc_string = None
            value.metadata_props.clear()
        return ir.passes.PassResult(model, modified=True)
