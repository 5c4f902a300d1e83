"""A target, a part and the head of their clone merged into one ONNX graph."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from onnxgraph.classifier import FEATURES, SCORES
from onnxgraph.merge import Branch, merge
from onnxgraph.serialise import from_trusted_bytes
from packer_svc.cloning.head import CloneHead
from packer_svc.fusion.heads.spec import HeadInputs
from packer_svc.fusion.pack import HEAD_PREFIX, LABELS_KEY, PROBABILITIES, check_labels

_READ = {
    HeadInputs.FEATURES: (FEATURES,),
    HeadInputs.SCORES: (SCORES,),
    HeadInputs.BOTH: (FEATURES, SCORES),
}


def merge_clone(graphs: Sequence[bytes], head: CloneHead, labels: Sequence[str]) -> ir.Model:
    """Merges a clone.

    Args:
        graphs: The target, and the part unless nothing is cloned; with the outputs of fragments.
        head: The fitted head.
        labels: All classes in the order of the head's outputs.

    Returns:
        One graph: the inputs by name, the output "probabilities" `(N, C)`.

    Raises:
        FusionError: `FRAGMENTS_DUPLICATE`, a label twice.
        GraphError: `GRAPHS_INCOMPATIBLE` if both take different inputs of one name.
    """
    check_labels(labels)
    models = [from_trusted_bytes(graph, shapes=False) for graph in graphs]

    def tail(tape: ir.tape.Tape, ends: Sequence[Sequence[ir.Value]]) -> Sequence[ir.Value]:
        found = dict(zip(("target", "part"), ends, strict=False))
        return [
            _output(_probabilities(_Tape(tape), found["target"], found.get("part"), head), head)
        ]

    names = ("target.", "part.")
    branches = [
        Branch(model, name, (FEATURES, SCORES)) for name, model in zip(names, models, strict=False)
    ]
    model = merge(branches, tail)
    model.metadata_props[LABELS_KEY] = json.dumps(list(labels), ensure_ascii=False)
    return model


class _Tape:
    """A tape that names its nodes and constants as those of a head."""

    def __init__(self, tape: ir.tape.Tape) -> None:
        self._tape = tape

    def op(self, name: str, kind: str, inputs: Sequence[ir.Value], **options: int) -> ir.Value:
        return self._tape.op(kind, inputs, options, name=f"{HEAD_PREFIX}{name}")

    def constant(self, name: str, array: np.ndarray) -> ir.Value:
        return self._tape.initializer(ir.tensor(array, name=f"{HEAD_PREFIX}{name}"))


def _probabilities(
    tape: _Tape, target: Sequence[ir.Value], part: Sequence[ir.Value] | None, head: CloneHead
) -> ir.Value:
    own = tape.op("own", "Softmax", [target[1]], axis=1)
    if head.gate is None or part is None:
        return own
    places = tape.constant("places", np.array(head.places, dtype=np.int64))
    scores = tape.op("cloned_scores", "Gather", [part[1], places], axis=1)
    cloned = tape.op("cloned", "Softmax", [scores], axis=1)
    within = tape.op("within", "Concat", [own, cloned], axis=1)
    return tape.op("probabilities", "Mul", [within, _sides(tape, target, part, head)])


def _sides(
    tape: _Tape, target: Sequence[ir.Value], part: Sequence[ir.Value], head: CloneHead
) -> ir.Value:
    """For every class how likely it is that its side is to be asked `(N, C)`."""
    assert head.gate is not None
    outputs = (FEATURES, SCORES)
    read = [end[outputs.index(name)] for end in (target, part) for name in _READ[head.gate.inputs]]
    columns = tape.op("columns", "Concat", read, axis=1)
    layer = head.gate.folded()
    weight = tape.constant("gate.weight", layer.weight.astype(np.float32))
    bias = tape.constant("gate.bias", layer.bias.astype(np.float32))
    logits = tape.op("gate", "Gemm", [columns, weight, bias])
    classes = tape.op("gate_classes", "Softmax", [logits], axis=1)
    of_own = np.arange(head.classes) < head.own
    same = (of_own[:, None] == of_own[None, :]).astype(np.float32)
    return tape.op("sides", "MatMul", [classes, tape.constant("same_side", same)])


def _output(value: ir.Value, head: CloneHead) -> ir.Value:
    value.name = PROBABILITIES
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(["batch", head.classes])
    return value
