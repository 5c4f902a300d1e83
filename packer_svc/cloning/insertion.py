"""A part put into a target: everything in front of it is the target's own."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from onnxgraph.classifier import FEATURES, SCORES
from onnxgraph.halves import INPUT, behind, in_front
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.cloning.adapter import OUTPUT, RESIZED, Adapter, as_graph, resizing
from packer_svc.cloning.positions import Splice


def inserted(target: ir.Model, part: ir.Model, splice: Splice, adapter: Adapter) -> bytes:
    """The branch of M_c^R that the part makes: M_t[0:R], the adapter, and the part behind it.

    Args:
        target: The target, with the outputs of a fragment.
        part: The part, likewise; both stay as they are.
        splice: Where it is put in.
        adapter: Fitted there.

    Returns:
        A fragment: the target's inputs, the part's outputs. What it shares with the target is
        computed once in a merge of both.
    """
    whole = _proto(in_front(target, splice.target))
    last = splice.target.value
    resized = resizing(splice.target, splice.part)
    shape = (splice.target.shape[0], *splice.part.shape[1:])
    for place, (graph, name) in enumerate(
        [
            *([] if resized is None else [(resized, RESIZED)]),
            (as_graph(adapter, shape), OUTPUT),
            (behind(part, splice.part), None),
        ]
    ):
        prefix = f"clone{place}."
        whole = onnx.compose.merge_models(
            whole,
            onnx.compose.add_prefix(_proto(graph), prefix),
            io_map=[(last, f"{prefix}{INPUT}")],
        )
        last = f"{prefix}{name}"
    return _as_fragment(whole, prefix)


def _proto(model: ir.Model) -> onnx.ModelProto:
    proto = ir.serde.serialize_model(model)
    # Symbols of the batch are numbered arbitrarily, and shapes are inferred again.
    del proto.graph.value_info[:]
    return proto


def _as_fragment(whole: onnx.ModelProto, prefix: str) -> bytes:
    model = ir.serde.deserialize_model(whole)
    taken = {str(value.name): value for node in model.graph for value in node.outputs}
    for name in (FEATURES, SCORES):
        if name in taken:
            taken[name].name = f"{prefix}target_{name}"
        taken[f"{prefix}{name}"].name = name
    return to_bytes(from_trusted_bytes(bytes(ir.serde.serialize_model(model).SerializeToString())))
