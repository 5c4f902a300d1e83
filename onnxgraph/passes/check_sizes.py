"""Refuse integers so large that native code would overflow on them."""

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.limits import Limits
from onnxgraph.wire import too_large

_TO_THE_END = frozenset({"Slice", "Unsqueeze"})


class CheckSizes(ir.passes.InPlacePass):
    """Holds every integer constant and attribute against the cap on elements of a value.

    A target of 2⁶³ − 1 overflows within ONNX Runtime, which then ends the process. Only Slice
    takes the largest integers there are, as "to the end".

    Args:
        limits: The cap on elements of one value.

    Requires: constants lifted.
    Ensures: the model, unchanged, has no such integer outside of Slice.
    """

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self._largest = limits.value_elements

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Looks through the model.

        Raises:
            GraphError: `GRAPH_TOO_LARGE` names the initializer or node.
        """
        for name, value in model.graph.initializers.items():
            readers = {node.op_type for node in value.consumers()}
            if readers and readers <= _TO_THE_END:
                continue
            tensor = value.const_value
            if tensor is not None and tensor.dtype in (ir.DataType.INT64, ir.DataType.INT32):
                self._check(name, tensor.numpy().ravel())
        for node in model.graph:
            if node.op_type not in _TO_THE_END:
                self._check(
                    str(node.name or node.outputs[0].name), np.array(_integers(node), np.int64)
                )
        return ir.passes.PassResult(model, modified=False)

    def _check(self, name: str, numbers: npt.NDArray[np.generic]) -> None:
        for number in (int(numbers.max(initial=0)), int(numbers.min(initial=0))):
            if abs(number) > self._largest:
                raise too_large(f"An integer of {name!r}", abs(number), self._largest, name)


def _integers(node: ir.Node) -> list[int]:
    """All integers in a node's attributes."""
    found: list[int] = []
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.INT:
            found.append(attribute.as_int())
        elif attribute.type == ir.AttributeType.INTS:
            found.extend(attribute.as_ints())
    return found
