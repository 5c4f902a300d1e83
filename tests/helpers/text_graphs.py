"""Graphs written as ONNX text, with random weights of given shapes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx import numpy_helper


def text_graph(
    signature: str, body: str, /, *, opset: int = 17, seed: int = 0, **constants: Any
) -> ir.Model:
    """A model from its text.

    Args:
        signature: Such as `float[N, 3] x => float[N, 2] y`.
        body: Nodes, one a line, such as `h = Relu(x)`; each node is named after its output.
        opset: The version of the operator set.
        seed: The seed of the weights.
        **constants: Initializers by name: an array, or the shape (a tuple) of random float32.
    """
    inputs, outputs = signature.split("=>")
    proto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]>\ng ({inputs}) => ({outputs}) {{\n{body}\n}}'
    )
    for node in proto.graph.node:
        node.name = node.output[0]
    random = np.random.default_rng(seed)
    for name, constant in constants.items():
        array = _tensor(constant, random)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    onnx.checker.check_model(proto, full_check=True)
    return ir.serde.deserialize_model(proto)


def _tensor(
    constant: tuple[int, ...] | Sequence[int] | NDArray[Any], random: np.random.Generator
) -> NDArray[Any]:
    if isinstance(constant, tuple):
        return random.normal(size=constant).astype(np.float32)
    return np.asarray(constant)
