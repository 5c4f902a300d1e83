"""Normal form: what every later step may take for granted about a graph."""

import onnx_ir as ir
from onnx_ir.passes.common import (
    LiftConstantsToInitializersPass,
    NameFixPass,
    RemoveInitializersFromInputsPass,
    RemoveUnusedOpsetsPass,
)

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.limits import DEFAULT_LIMITS, Limits
from onnxgraph.lookup import opset_of
from onnxgraph.operators import TABLE, Call
from onnxgraph.passes.check_sizes import CheckSizes
from onnxgraph.passes.clear_annotations import ClearAnnotations
from onnxgraph.passes.drop_dropout import DropDropout
from onnxgraph.passes.drop_zero_states import DropZeroStates
from onnxgraph.passes.flatten_reshapes import FlattenReshapes
from onnxgraph.passes.fold_batch_normalization import FoldBatchNormalization
from onnxgraph.passes.fold_constants import FoldConstants
from onnxgraph.passes.fold_expands import FoldExpands
from onnxgraph.passes.fold_shapes import FoldShapes
from onnxgraph.passes.free_batch import FreeBatch, fixed_batch
from onnxgraph.passes.infer_shapes import InferShapes
from onnxgraph.passes.keep_pads import KeepPads
from onnxgraph.passes.names import ReadableNames
from onnxgraph.passes.observation import BATCHES, run_at, runs_at
from onnxgraph.passes.part_directions import PartDirections
from onnxgraph.passes.part_rows import PartRows
from onnxgraph.passes.pool_before_classes import PoolBeforeClasses
from onnxgraph.passes.raise_opset import RaiseOpset
from onnxgraph.passes.repair_batch import RepairBatch, guess_batch
from onnxgraph.passes.roll_steps import RollSteps
from onnxgraph.passes.shuffles_to_gathers import ShufflesToGathers
from onnxgraph.passes.splits_to_slices import SplitsToSlices
from onnxgraph.passes.unshare_initializers import UnshareInitializers
from onnxgraph.sameness import batch_fixed, check_same


def normalise(model: ir.Model, *, limits: Limits = DEFAULT_LIMITS) -> ir.Model:
    """Brings a loaded model into normal form; its numbers stay.

    The result is compared with the original by ONNX Runtime on random inputs at batches 2, 3 and 5:
    what does not agree is refused, so no pass is taken at its word.

    Args:
        model: A model from `load_model`; left as it is.
        limits: The cap on elements of one value.

    Returns:
        A new model at `WORKING_OPSET`: no annotations; constants are initializers, each read once;
        the first axis of every input and output is the symbolic `batch`, and the graph computes
        each sample by itself; no computed shapes; BatchNormalization folded where exact; only
        operators of the operator table; every value with a shape where onnx can infer one.

    Raises:
        GraphError: Names the node or value that stands in the way.
    """
    original = model.clone()
    RemoveInitializersFromInputsPass()(original)
    result = original.clone()
    _apply(
        result,
        ClearAnnotations(),
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        CheckSizes(limits),
        FreeBatch(),
        RaiseOpset(),
        NameFixPass(name_generator=ReadableNames()),
        LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        DropDropout(),
        InferShapes(limits),
        FoldConstants(),
        RollSteps(),
        DropZeroStates(),
        FoldConstants(),
        CheckSizes(limits),
        InferShapes(limits),
    )
    batch = _repair_batch(original, result)
    _apply(
        result,
        FoldExpands(),
        FoldShapes(),
        FoldConstants(),
        InferShapes(limits),
        PartDirections(),
        FoldConstants(),
        InferShapes(limits),
        PartRows(),
        FlattenReshapes(),
        SplitsToSlices(),
        ShufflesToGathers(),
        UnshareInitializers(),
        FoldBatchNormalization(),
        KeepPads(),
        PoolBeforeClasses(),
        FoldConstants(),
        InferShapes(limits),
        RemoveUnusedOpsetsPass(),
    )
    _check_operators(result)
    check_same(original, result, batch)
    return result


def _apply(model: ir.Model, *passes: ir.passes.InPlacePass) -> None:
    for step in passes:
        step(model)


def _repair_batch(original: ir.Model, model: ir.Model) -> int | None:
    """Frees a baked batch size; returns it, or None if there is none."""
    batch = fixed_batch(original)
    if batch is None:
        try:
            run_at(model, BATCHES)
        except GraphError:
            batch = guess_batch(model)
            if batch is None:
                raise
        else:
            return None
    RepairBatch(batch)(model)
    if not runs_at(model, BATCHES):
        raise batch_fixed(f"The graph computes batches of {batch} only, in more than its Reshapes.")
    return batch


def _check_operators(model: ir.Model) -> None:
    """Refuses what is left of shape arithmetic, and any other node that no row covers."""
    opset = opset_of(model)
    for node in model.graph:
        row = TABLE.get(node.op_type)
        why = "is supported only where it computes a fixed shape"
        if row is not None:
            refused = None if row.refusal is None else row.refusal(Call.of(node, opset))
            if refused is None:
                continue
            why = f"{refused}: that is not supported"
        raise GraphError(
            GraphReason.GRAPH_OPERATOR_UNSUPPORTED,
            f"Node {node.name!r} has the operator {node.op_type}, which {why}.",
            advice="Rewrite that part of the model with supported operators.",
            node=node.name,
            metadata={"operator": node.op_type},
        )
