"""Does a normal form compute what the original computes, sample by sample?"""

import numpy as np
import onnx_ir as ir

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.parity import compare
from onnxgraph.passes.free_batch import BATCH
from onnxgraph.passes.keep_pads import WRONG_FUSION
from onnxgraph.passes.observation import BATCHES, Arrays, GraphRunner, random_inputs

_RTOL = 1e-4
_ATOL = 1e-6


def batch_fixed(message: str) -> GraphError:
    """The error for a graph that works at one batch size only."""
    return GraphError(
        GraphReason.GRAPH_BATCH_FIXED,
        message,
        advice="Export again with a symbolic batch: dynamic_axes={'input': {0: 'batch'}}, or "
        "dynamic_shapes with dynamo.",
    )


def check_same(original: ir.Model, model: ir.Model, batch: int | None) -> None:
    """Compares a normal form with its original on random inputs at batches 2, 3 and 5.

    Args:
        original: The graph as it was loaded.
        model: Its normal form; the shapes of its outputs are set to what was observed.
        batch: The only batch size at which the original runs, or None if it runs at any.

    Raises:
        GraphError: `GRAPH_BATCH_FIXED` if the outputs do not follow the batch, `GRAPH_BATCH_MIXED`
            if a sample's output depends on the others, `GRAPH_INVALID` if the numbers differ,
            `GRAPH_NOT_EXECUTABLE` if the original does not run.
    """
    reference = GraphRunner(original, without=(WRONG_FUSION,))
    runner = GraphRunner(model)
    for size in BATCHES:
        inputs = random_inputs(model, size, seed=100 + size)
        found = runner.run(inputs)
        for name, array in found.items():
            if not array.ndim or array.shape[0] != size:
                raise batch_fixed(f"Output {name!r} has the shape {array.shape} at batch {size}.")
        wanted = _in_chunks(reference, inputs, batch or size, size)
        _check(found, wanted, fixed=batch is not None)
        _check_apart(found, _in_chunks(runner, inputs, 1, size))
    for output in model.graph.outputs:
        output.shape = ir.Shape([BATCH, *found[str(output.name)].shape[1:]])


def _in_chunks(runner: GraphRunner, inputs: Arrays, chunk: int, size: int) -> Arrays:
    """Runs samples in chunks of one size, the last one filled up with its last sample."""
    parts: list[Arrays] = []
    for start in range(0, size, chunk):
        rows = np.minimum(np.arange(start, start + chunk), size - 1)
        parts.append(runner.run({name: array[rows] for name, array in inputs.items()}))
    return {name: np.concatenate([part[name] for part in parts])[:size] for name in parts[0]}


def _check(found: Arrays, wanted: Arrays, *, fixed: bool) -> None:
    for name, array in found.items():
        parity = compare(array, wanted[name], atol=_ATOL, rtol=_RTOL)
        if parity.passed:
            continue
        if fixed:
            raise batch_fixed(f"Output {name!r} changes once the batch size is free.")
        raise GraphError(
            GraphReason.GRAPH_INVALID,
            f"Output {name!r} of the normal form differs from the original by "
            f"{parity.max_rel:.1e} of its largest entry.",
            advice="Export the model at opset 20 and check that its outputs are finite.",
            node=name,
        )


def _check_apart(together: Arrays, alone: Arrays) -> None:
    for name, array in together.items():
        if not compare(array, alone[name], atol=_ATOL, rtol=_RTOL).passed:
            raise GraphError(
                GraphReason.GRAPH_BATCH_MIXED,
                f"Output {name!r} of a sample depends on the other samples of its batch.",
                advice="Call model.eval() before exporting, and compute each sample by itself.",
                node=name,
            )
