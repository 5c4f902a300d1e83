"""What one row of the operator table holds, and how a node is shown to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

if TYPE_CHECKING:
    from onnxgraph.operators.facet import LinearFacet
    from onnxgraph.operators.shrunk import Shrunk
    from onnxgraph.operators.step import Step

Dims: TypeAlias = tuple[int | None, ...]
"""A shape; None is a symbolic or unknown size."""


@dataclass(frozen=True)
class Call:
    """One node detached from its graph.

    Attributes:
        name: The node's name.
        op_type: The operator.
        opset: The version of the default operator set in force.
        attributes: Attribute values by name, as plain Python values (tensors as `ir` tensors).
        outputs: How many outputs the node has.
        float_dtype: What every floating type becomes when the node is evaluated in torch.
    """

    name: str
    op_type: str
    opset: int
    attributes: Mapping[str, Any]
    outputs: int = 1
    float_dtype: torch.dtype = torch.float32

    @classmethod
    def of(cls, node: ir.Node, opset: int, float_dtype: torch.dtype = torch.float32) -> Call:
        """Reads a node of a graph whose default operator set is `opset`."""
        attributes = {name: attribute.value for name, attribute in node.attributes.items()}
        return cls(
            name=node.name or "",
            op_type=node.op_type,
            opset=opset,
            attributes=attributes,
            outputs=len(node.outputs),
            float_dtype=float_dtype,
        )

    def integer(self, name: str, default: int) -> int:
        """An INT attribute."""
        return int(self.attributes.get(name, default))

    def number(self, name: str, default: float) -> float:
        """A FLOAT attribute; ONNX keeps them, defaults included, in single precision."""
        return float(np.float32(self.attributes.get(name, default)))

    def text(self, name: str, default: str) -> str:
        """A STRING attribute."""
        return str(self.attributes.get(name, default))

    def integers(self, name: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """An INTS attribute."""
        return tuple(int(value) for value in self.attributes.get(name, default))


Evaluate: TypeAlias = Callable[..., "Tensor | tuple[Tensor, ...]"]
"""`(call, *inputs)` to the outputs; an absent optional input is None. Works under autograd."""

Flow: TypeAlias = Callable[["Step"], None]
"""Follows units through one node: reads the layouts of its inputs, sets those of its outputs."""

Shrink: TypeAlias = Callable[["Shrunk"], None]
"""Rewrites what names sizes or places in a node whose data lost units."""

Refuse: TypeAlias = Callable[[Call], "str | None"]
"""What in a node's attributes `evaluate` does not cover, to be read after its name, or None."""

CountMacs: TypeAlias = Callable[[Call, "tuple[Dims, ...]", "tuple[Dims, ...]"], int]
"""`(call, input shapes, output shapes)` of one sample to its multiply-accumulates."""


def elements(dims: Dims) -> int:
    """Elements of a value; an open size counts as 1."""
    return prod(size for size in dims if size is not None)


def no_macs(call: Call, inputs: tuple[Dims, ...], outputs: tuple[Dims, ...]) -> int:  # noqa: ARG001
    """The cost of an operator without a weight matrix: none, by the usual convention."""
    return 0


@dataclass(frozen=True)
class Operator:
    """One row of the table: everything that this package knows of an operator.

    Attributes:
        name: The operator's name in the default ONNX domain.
        evaluate: Its meaning in torch, for every opset from 13 on.
        flow: How units pass through it.
        macs: Its multiply-accumulates per sample.
        linear: How a repair fuses into it, where it has a weight matrix.
        elementwise: Whether it acts on each unit by itself, so that a unit's own output is
            better read behind it than before it (activations, scales, MaxPool).
        outputs: How many outputs `evaluate` gives; a node whose later ones are used is refused.
        shrink: What else of the node follows a cut: a target shape, indices, a number of groups.
        refusal: Which uses of it are not supported: such graphs are refused.
        settings: Indices of floating inputs that are settings or statistics, not weights, and
            are therefore not trained (Clip's bounds, running means).
    """

    name: str
    evaluate: Evaluate
    flow: Flow
    macs: CountMacs = no_macs
    linear: LinearFacet | None = None
    elementwise: bool = False
    outputs: int = 1
    shrink: Shrink | None = None
    refusal: Refuse | None = None
    settings: frozenset[int] = field(default=frozenset())
