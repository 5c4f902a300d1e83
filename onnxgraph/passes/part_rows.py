"""Let dense layers read their data as it is, without merging its leading axes into rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.lookup import constant_of
from onnxgraph.passes.names import fresh_name
from onnxgraph.passes.rewire import replace_node


@dataclass(frozen=True)
class _Layer:
    """Reshape to rows → Gemm → Reshape back.

    Attributes:
        data: What the first Reshape reads.
        shape: What it would give if it left the leading axes apart, `(…, inputs)`.
        gemm: The Gemm.
        part: The second Reshape; its result is `(…, outputs)`.
    """

    data: ir.Value
    shape: tuple[int | None, ...]
    gemm: ir.Node
    part: ir.Node


class PartRows(ir.passes.InPlacePass):
    """Turns Reshape → Gemm → Reshape into Reshape → MatMul → Add with all axes but the last apart.

    torch's MultiheadAttention merges steps and samples, in this order, in front of its output
    layer: rows of a sample no longer follow each other, and the batch is no axis of its own.

    Requires: inferred shapes; Reshape targets folded; constants lifted.
    Ensures: no such three nodes whose inner values nobody else reads.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replaces the nodes in place."""
        taken: set[str | None] = set(ir.convenience.create_value_mapping(model.graph))
        taken |= {node.name for node in model.graph}
        modified = False
        for node in list(model.graph):
            layer = _layer(node) if node.op_type == "Gemm" else None
            if layer is not None:
                _replace(model.graph, layer, taken)
                modified = True
        return ir.passes.PassResult(model, modified=modified)


def _layer(gemm: ir.Node) -> _Layer | None:
    merge, part = gemm.inputs[0], gemm.outputs[0]
    before = None if merge is None else merge.producer()
    after = next((use.node for use in part.uses()), None)
    if before is None or after is None or len(part.uses()) > 1 or part.is_graph_output():
        return None
    if before.op_type not in ("Reshape", "Flatten") or after.op_type != "Reshape":
        return None
    data, sizes = before.inputs[0], _dims(after.outputs[0])
    if data is None or not _plain(gemm) or len(sizes) < 3 or sizes.count(None) > 1:
        return None
    inputs, outputs = _matrix(gemm).shape
    return _Layer(data, (*sizes[:-1], inputs), gemm, after) if sizes[-1] == outputs else None


def _dims(value: ir.Value) -> list[int | None]:
    """Sizes, None at open ones; empty if they are unknown."""
    return [size if isinstance(size, int) else None for size in value.shape or ()]


def _plain(gemm: ir.Node) -> bool:
    """Whether it is x · W + b with constants."""
    factors = [gemm.attributes.get_float(name, 1.0) for name in ("alpha", "beta")]
    constants = all(value is None or constant_of(value) is not None for value in gemm.inputs[1:])
    return factors == [1.0, 1.0] and not gemm.attributes.get_int("transA", 0) and constants


def _matrix(gemm: ir.Node) -> npt.NDArray[np.generic]:
    """The weight as `(inputs, outputs)`."""
    weight = constant_of(gemm.inputs[1])
    assert weight is not None
    array: npt.NDArray[np.generic] = weight.numpy()
    return array.T if gemm.attributes.get_int("transB", 0) else array


def _replace(graph: ir.Graph, layer: _Layer, taken: set[str | None]) -> None:
    gemm, after = layer.gemm, layer.part
    name, result = str(gemm.name), after.outputs[0]
    target = np.array([-1 if size is None else size for size in layer.shape], np.int64)
    data = ir.Value(
        name=fresh_name(f"{name}_data", taken),
        type=after.outputs[0].type,
        shape=ir.Shape([*list(result.shape or ())[:-1], layer.shape[-1]]),
    )
    sizes = _constant(graph, fresh_name(f"{name}_target", taken), target)
    graph.insert_before(
        gemm, ir.Node("", "Reshape", [layer.data, sizes], name=str(data.name), outputs=[data])
    )
    columns = _constant(graph, fresh_name(f"{name}_columns", taken), _matrix(gemm))
    bias = gemm.inputs[2] if len(gemm.inputs) > 2 else None
    if bias is None:
        product = replace_node(after, "MatMul", [data, columns])
    else:
        made = fresh_name(f"{name}_product", taken)
        value = ir.Value(name=made, type=result.type, shape=result.shape)
        product = ir.Node("", "MatMul", [data, columns], name=made, outputs=[value])
        graph.insert_before(after, product)
        replace_node(after, "Add", [value, bias])
    merge = None if gemm.inputs[0] is None else gemm.inputs[0].producer()
    graph.remove(gemm, safe=True)
    product.name = name
    if merge is not None and not merge.outputs[0].uses() and not merge.outputs[0].is_graph_output():
        graph.remove(merge, safe=True)


def _constant(graph: ir.Graph, name: str, array: npt.NDArray[np.generic]) -> ir.Value:
    tensor = ir.tensor(np.ascontiguousarray(array), name=name)
    value = ir.Value(
        name=name,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph.register_initializer(value)
    return value
