"""The linear facet: the axes and the matrix form of the weight that a node applies to its data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from onnxgraph.operators.operator import Call


@dataclass(frozen=True)
class LinearFacet:
    """A node as `y = patches(x) @ W + b`, its weight at input 1 and its bias at another or behind.

    Attributes:
        data_axis: The axis of the data that is contracted: 1 (Conv) or -1.
        input_axis: `(call)` to the weight's axis that is contracted.
        output_axis: `(call)` to the weight's axis of fresh units.
        applies: `(call, weight shape)`: whether the node is such a matrix at all.
        refusal: Why not, to be read after the node's name.
        patches: `(call, data, weight shape, chosen positions or None)` to
            `(rows, inputs × kernel)`, channel-major.
        scales: `(call)` to the factors on weight and bias (Gemm's alpha and beta).
        pads_with_zeros: `(call)`: whether the kernel reads zeros beside the data, so that an
            offset of the data does not fold into the bias.
        keeps_other_axes: Whether every other axis of the data is an axis of the output.
        has_bias_input: Whether an input is a bias; else a bias is a separate Add behind the node.
        bias_input: Which input that is; b is its first places, one per output.
        is_output: Whether y is the node's output; of a recurrent node it is a part of its gates.
    """

    data_axis: int
    input_axis: Callable[[Call], int]
    output_axis: Callable[[Call], int]
    applies: Callable[[Call, tuple[int, ...]], bool]
    refusal: str
    patches: Callable[[Call, Tensor, tuple[int, ...], Tensor | None], Tensor]
    scales: Callable[[Call], tuple[float, float]]
    pads_with_zeros: Callable[[Call], bool]
    keeps_other_axes: bool
    has_bias_input: bool
    bias_input: int = 2
    is_output: bool = True
