"""A model of the market, cut where one tensor leads from the front to the back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxgraph.classifier import SCORES, as_fragment, find_classifier
from onnxgraph.cost import NodeCost, cost
from onnxgraph.cuts import Segment, segments
from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.operators import TABLE
from onnxgraph.serialise import from_trusted_bytes
from onnxgraph.view import TorchView

AnyArray = NDArray[np.generic]
BATCH = 64
"""Samples of one run at most."""
MOST_FED = 2**20
"""Values that are fed to a run of more than one sample: of large ones fewer run at once."""
FEW = 3
"""On how many samples it is seen whether a value has a row for each."""


@dataclass(frozen=True)
class Piece:
    """What lies between two cut points; all that blocks are made of.

    Attributes:
        start: The value that it reads.
        end: The value that it makes.
        parameters: Floating parameters.
        macs: Multiply-accumulate operations per sample.
        activations: The values that its activation functions read.
    """

    start: str
    end: str
    parameters: int
    macs: int
    activations: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class CutModel:
    """A model and its pieces, from the input to the class scores.

    Attributes:
        name: What it is called in results.
        graph: The graph with the outputs "features" and "scores".
        pieces: At least one.
        features: How many features its classifier reads.
        classes: How many class scores it has.
    """

    name: str
    graph: ir.Model
    pieces: tuple[Piece, ...]
    features: int
    classes: int
    view: TorchView = field(repr=False)

    @property
    def parameters(self) -> int:
        """Floating parameters of all pieces."""
        return sum(piece.parameters for piece in self.pieces)

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of all pieces."""
        return sum(piece.macs for piece in self.pieces)

    def run(
        self,
        inputs: Mapping[str, AnyArray],
        fetch: Sequence[str],
        start: Mapping[str, Tensor] | None = None,
        reduce: Callable[[str, Tensor], Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Computes values on samples, without gradients.

        Args:
            inputs: One array per input; any number of samples. May be empty with `start`.
            fetch: The names of the values.
            start: Values that are known already.
            reduce: What is kept of a value, by its name, a row a sample; all of it where left out.
        """
        known = dict(start or {})
        shapes = [one.shape for one in inputs.values()] + [tuple(t.shape) for t in known.values()]
        count = shapes[0][0]
        size = max(1, *(int(np.prod(shape[1:])) for shape in shapes))
        batch = int(np.clip(MOST_FED // size, 1, BATCH))
        parts = []
        with torch.no_grad():
            for first in range(0, count, batch):
                rows = slice(first, first + batch)
                fed = {
                    name: torch.from_numpy(np.ascontiguousarray(array[rows]))
                    for name, array in inputs.items()
                }
                given = {name: tensor[rows] for name, tensor in known.items()}
                found = self.view.run(fed, fetch=fetch, start=given)
                parts.append({n: reduce(n, t) if reduce else t for n, t in found.items()})
        return {name: torch.cat([part[name] for part in parts]) for name in fetch}


def cut(name: str, graph: bytes, samples: Mapping[str, AnyArray]) -> CutModel:
    """Cuts a model at every value that alone leads on, and that has one row a sample.

    Cut points with no parameters behind them, up to the next one, are left out: a block ends after
    its activation and its pool.

    Args:
        name: What the model is called.
        graph: A model's normalised graph.
        samples: Samples, by which values that do not have one row a sample are found.

    Raises:
        GraphError: It has no linear classifier, an operator that is not in the table, or gives NaN
            or infinity on the samples.
    """
    model = from_trusted_bytes(graph)
    classifier = find_classifier(model)
    fragment = as_fragment(model, classifier)
    # Blocks stay as they are: nobody asks for gradients of their weights.
    view = TorchView(fragment).requires_grad_(requires_grad=False)
    own = CutModel(name, fragment, (), classifier.feature_width, classifier.classes, view)
    return CutModel(name, fragment, _pieces(own, samples), own.features, own.classes, view)


def _pieces(model: CutModel, samples: Mapping[str, AnyArray]) -> tuple[Piece, ...]:
    found = segments(model.graph, [SCORES])
    one_row = _one_row_a_sample(model, [segment.end for segment in found], samples)
    shares = cost(model.graph).by_node
    nodes = {str(node.name): node for node in model.graph.graph}
    pieces: list[Piece] = []
    passed: list[str] = []
    start = str(model.graph.graph.inputs[0].name)
    for place, segment in enumerate(found):
        passed += segment.nodes
        last = place == len(found) - 1
        next_weighs = _weighs_next(found[place + 1 :], nodes, shares)
        weighs = any(name in shares for name in passed)
        if last or (next_weighs and weighs and segment.end in one_row):
            known = [shares[name] for name in passed if name in shares]
            pieces.append(
                Piece(
                    start,
                    segment.end,
                    sum(share.parameters for share in known),
                    sum(share.macs for share in known),
                    tuple(_activations([nodes[name] for name in passed])),
                )
            )
            start, passed = segment.end, []
    return tuple(pieces)


def _weighs_next(
    behind: Sequence[Segment], nodes: Mapping[str, ir.Node], shares: Mapping[str, NodeCost]
) -> bool:
    """Whether parameters come next; maps are not flattened in front of a cut, but behind it."""
    for segment in behind:
        if any(name in shares for name in segment.nodes):
            return True
        if any(nodes[name].op_type not in _FLATTENS for name in segment.nodes):
            return False
    return False


def _one_row_a_sample(
    model: CutModel, values: Sequence[str], samples: Mapping[str, AnyArray]
) -> set[str]:
    """Those values whose first axis is the sample; windows of pictures are merged with it.

    Raises:
        GraphError: GRAPH_NOT_FINITE, one is no number.
    """
    found = model.run({name: array[:FEW] for name, array in samples.items()}, values)
    count = len(next(iter(samples.values()))[:FEW])
    numbers = model.run(samples, values, reduce=lambda _, tensor: tensor.isfinite().all()[None])
    wild = [name for name, finite in numbers.items() if not finite.all()]
    if wild:
        raise GraphError(
            GraphReason.GRAPH_NOT_FINITE,
            f"It gives NaN or infinity in {wild[0]!r} on the samples.",
            advice="Check its weights and the range of the samples.",
            node=wild[0],
        )
    return {
        name
        for name, tensor in found.items()
        if tensor.dim() > 1 and len(tensor) == count and tensor.is_floating_point()
    }


def _activations(nodes: Sequence[ir.Node]) -> list[str]:
    """What the activation functions read: elementwise, of one floating input, and not linear."""
    return [
        str(node.inputs[0].name)
        for node in nodes
        if node.op_type in _ACTIVATIONS and node.inputs[0] is not None
    ]


_FLATTENS = frozenset({"Flatten", "Identity", "Reshape", "Squeeze"})

_ACTIVATIONS = frozenset(
    name
    for name in (
        *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu", "Softplus"),
        *("Gelu", "Erf", "HardSwish", "HardSigmoid", "Sigmoid", "Mish", "Tanh", "Clip"),
    )
    if name in TABLE
)
"""Functions around zero, whose sign tells which linear piece of the network a sample is in."""
