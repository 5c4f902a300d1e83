"""What graphs cost, with word embeddings apart: the paper does not count them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxgraph.cost import cost

HEAD = "head."
"""What the names of a pack's head begin with."""


@dataclass(frozen=True)
class Size:
    """What a graph costs.

    Attributes:
        parameters: Floating initializers, the head's and word embeddings included.
        head: Those of a pack's head.
        embeddings: Those of word embeddings.
        macs: Multiply-accumulates per sample.
    """

    parameters: int
    head: int
    embeddings: int
    macs: int

    @property
    def counted(self) -> int:
        """Parameters without embeddings."""
        return self.parameters - self.embeddings


def size_of(model: ir.Model) -> Size:
    """Counts a normalised model, a fragment or a pack."""
    found = cost(model)
    tables = {str(node.name) for node in model.graph if node.op_type == "Gather"}
    return Size(
        parameters=found.parameters,
        head=sum(
            share.parameters for node, share in found.by_node.items() if node.startswith(HEAD)
        ),
        embeddings=sum(share.parameters for node, share in found.by_node.items() if node in tables),
        macs=found.macs,
    )


def ensemble_size(originals: Sequence[Size], columns: int, classes: int) -> Size:
    """The full originals with their joint classifier, counted as the packer does.

    Args:
        originals: Each once.
        columns: Features and class scores of all originals, which the classifier reads.
        classes: Classes of the pack.
    """
    head = (columns + 1) * classes
    return Size(
        parameters=sum(size.parameters for size in originals) + head,
        head=head,
        embeddings=sum(size.embeddings for size in originals),
        macs=sum(size.macs for size in originals) + columns * classes,
    )
