"""Fragments and a head merged into one ONNX graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from onnxgraph.classifier import FEATURES, SCORES, find_classifier
from onnxgraph.linear import weight_matrix
from onnxgraph.merge import Branch, merge
from onnxgraph.serialise import from_trusted_bytes, to_bytes
from packer_svc.fusion.errors import FusionError, FusionReason
from packer_svc.fusion.heads.model import Head, Linear
from packer_svc.fusion.heads.none_of_these import NoneOfThese
from packer_svc.fusion.heads.spec import HeadInputs

Array = npt.NDArray[np.float64]

PROBABILITIES = "probabilities"
"""The output of a pack: class probabilities `(N, C)`, float32."""

NONE_OF_THESE = "none_of_these"
"""The second output of a pack that was asked for one: how likely an input belongs to no class of
the pack, `(N, 1)`, float32."""

HEAD_PREFIX = "head."
"""The names of the head's nodes begin so, those of fragments never do."""

LABELS_KEY = "class_labels"
"""Under this key of the model's metadata stand the class labels, a JSON list."""


def build_pack(
    fragments: Sequence[bytes],
    head: Head,
    class_labels: Sequence[str],
    none_of_these: NoneOfThese | None = None,
) -> bytes:
    """The file of `merge_pack`."""
    return to_bytes(merge_pack(fragments, head, class_labels, none_of_these))


def merge_pack(
    fragments: Sequence[bytes],
    head: Head,
    class_labels: Sequence[str],
    none_of_these: NoneOfThese | None = None,
) -> ir.Model:
    """Merges fragments and head; the fragments' weights stay as they are.

    Standardisation and head become one Gemm on the concatenated outputs (two where an encoder makes
    it smaller). Class scores are linear in the same fragment's features, so where it takes fewer
    parameters their share of the head moves onto the features, and the fragment's own classifier
    falls away.

    Args:
        fragments: ONNX graphs with the outputs "features" and "scores", in the head's order.
        head: The fitted head.
        class_labels: The pack's classes in the order of the head's outputs.
        none_of_these: The score of its second output; None: it has none.

    Returns:
        One graph: the fragments' inputs by name, the output "probabilities" `(N, C)`, where asked
        for "none_of_these" `(N, 1)`, batch symbolic on all of them, shapes inferred.

    Raises:
        FusionError: `FRAGMENTS_DUPLICATE` (a label twice) or `FIELD_INVALID` (labels or fragments
            that do not fit the head).
        GraphError: `GRAPHS_INCOMPATIBLE` if they take different inputs of one name (see
            `conversion.adapted`).
    """
    check_labels(class_labels)
    # Shapes are inferred once, of the whole.
    models = [from_trusted_bytes(fragment, shapes=False) for fragment in fragments]
    _check_fit(models, head, class_labels)
    first, *rest = head.layers()
    width = len(first.bias)
    shares = _shares(head.widths, head.inputs, first)
    bias = first.bias
    if none_of_these is not None:
        score = none_of_these.folded()
        beside = _shares(head.widths, none_of_these.inputs, score)
        shares = [one.beside(other) for one, other in zip(shares, beside, strict=True)]
        bias = np.concatenate([bias, score.bias])
    shares, bias = _move_scores_onto_features(models, shares, bias)
    weight = np.concatenate([rows for share in shares for rows in share.rows])
    layers = (Linear(weight[:, :width], bias[:width]), *rest)

    def tail(tape: ir.tape.Tape, ends: Sequence[Sequence[ir.Value]]) -> Sequence[ir.Value]:
        columns = _joined(tape, [value for branch in ends for value in branch])
        outputs = [_head_nodes(tape, columns, layers)]
        if none_of_these is not None:
            outputs.append(_score_nodes(tape, columns, Linear(weight[:, width:], bias[width:])))
        return outputs

    branches = [
        Branch(model, f"fragment{i}.", share.outputs)
        for i, (model, share) in enumerate(zip(models, shares, strict=True))
    ]
    model = merge(branches, tail)
    model.metadata_props[LABELS_KEY] = json.dumps(list(class_labels), ensure_ascii=False)
    return model


def check_labels(class_labels: Sequence[str]) -> None:
    """Refuses a pack that names a class twice.

    Raises:
        FusionError: `FRAGMENTS_DUPLICATE`.
    """
    twice = sorted({label for label in class_labels if class_labels.count(label) > 1})
    if twice:
        raise FusionError(
            FusionReason.FRAGMENTS_DUPLICATE,
            f"Two outputs of the pack have the label {twice[0]!r}.",
            advice="Give each output of the pack a label of its own.",
            metadata={"label": twice[0]},
        )


@dataclass(frozen=True)
class _Share:
    """What the head reads of one fragment: outputs, and the rows of the weight for each."""

    outputs: tuple[str, ...]
    rows: tuple[Array, ...]

    def beside(self, other: _Share) -> _Share:
        """What two layers read side by side; what one of them leaves out has no weight in it."""
        mine = dict(zip(self.outputs, self.rows, strict=True))
        theirs = dict(zip(other.outputs, other.rows, strict=True))
        width, added = self.rows[0].shape[1], other.rows[0].shape[1]
        names = tuple(name for name in (FEATURES, SCORES) if name in mine or name in theirs)
        rows = []
        for name in names:
            count = len(mine[name] if name in mine else theirs[name])
            left = mine.get(name, np.zeros((count, width)))
            rows.append(np.concatenate([left, theirs.get(name, np.zeros((count, added)))], axis=1))
        return _Share(names, tuple(rows))


def _shares(widths: Sequence[tuple[int, int]], inputs: HeadInputs, first: Linear) -> list[_Share]:
    shares, start = [], 0
    for features, scores in widths:
        outputs, rows = [], []
        for name, width, left_out in (
            (FEATURES, features, HeadInputs.SCORES),
            (SCORES, scores, HeadInputs.FEATURES),
        ):
            if inputs is not left_out:
                outputs.append(name)
                rows.append(first.weight[start : start + width])
                start += width
        shares.append(_Share(tuple(outputs), tuple(rows)))
    return shares


def _move_scores_onto_features(
    models: Sequence[ir.Model], shares: Sequence[_Share], bias: Array
) -> tuple[list[_Share], Array]:
    """Replaces class scores by their linear map of the features wherever that is smaller."""
    moved = []
    for model, share in zip(models, shares, strict=True):
        if SCORES not in share.outputs:
            moved.append(share)
            continue
        classifier = find_classifier(model)
        matrix, offset = weight_matrix(model, classifier.node)
        if not _smaller_on_features(matrix, share, classifier.feature_width):
            moved.append(share)
            continue
        on_scores = share.rows[share.outputs.index(SCORES)]
        on_features = matrix.astype(np.float64) @ on_scores
        if FEATURES in share.outputs:
            on_features = on_features + share.rows[share.outputs.index(FEATURES)]
        if offset is not None:
            bias = bias + offset.astype(np.float64) @ on_scores
        moved.append(_Share((FEATURES,), (on_features,)))
    return moved, bias


def _smaller_on_features(matrix: npt.NDArray[np.floating], share: _Share, features: int) -> bool:
    """Whether the head takes fewer parameters on the features than on classifier and scores."""
    if matrix.shape[0] != features:
        # A padded convolution: its patches are not the flattened features.
        return False
    width = share.rows[0].shape[1]
    extra = 0 if FEATURES in share.outputs else features * width
    return bool(extra < matrix.size + matrix.shape[1] * width)


def _joined(tape: ir.tape.Tape, columns: Sequence[ir.Value]) -> ir.Value:
    if len(columns) == 1:
        return columns[0]
    return tape.op("Concat", columns, {"axis": 1}, name=f"{HEAD_PREFIX}concat")


def _head_nodes(tape: ir.tape.Tape, value: ir.Value, layers: Sequence[Linear]) -> ir.Value:
    for name, layer in zip(("encoder", "classifier")[-len(layers) :], layers, strict=True):
        value = _gemm(tape, value, name, layer)
    probabilities = tape.op("Softmax", [value], {"axis": 1}, name=f"{HEAD_PREFIX}softmax")
    return _output(probabilities, PROBABILITIES, len(layers[-1].bias))


def _score_nodes(tape: ir.tape.Tape, columns: ir.Value, layer: Linear) -> ir.Value:
    value = _gemm(tape, columns, NONE_OF_THESE, layer)
    prefix = f"{HEAD_PREFIX}{NONE_OF_THESE}"
    axes = tape.initializer(ir.tensor(np.array([1], dtype=np.int64), name=f"{prefix}.axes"))
    value = tape.op("ReduceMin", [value, axes], name=f"{prefix}.least")
    score = tape.op("Sigmoid", [value], name=f"{prefix}.sigmoid")
    return _output(score, NONE_OF_THESE, 1)


def _gemm(tape: ir.tape.Tape, value: ir.Value, name: str, layer: Linear) -> ir.Value:
    weight = ir.tensor(layer.weight.astype(np.float32), name=f"{HEAD_PREFIX}{name}.weight")
    bias = ir.tensor(layer.bias.astype(np.float32), name=f"{HEAD_PREFIX}{name}.bias")
    operands = [value, tape.initializer(weight), tape.initializer(bias)]
    return tape.op("Gemm", operands, name=f"{HEAD_PREFIX}{name}")


def _output(value: ir.Value, name: str, width: int) -> ir.Value:
    value.name = name
    value.type = ir.TensorType(ir.DataType.FLOAT)
    value.shape = ir.Shape(["batch", width])
    return value


def _check_fit(models: Sequence[ir.Model], head: Head, class_labels: Sequence[str]) -> None:
    if len(models) != len(head.widths) or len(class_labels) != head.classes:
        raise FusionError(
            FusionReason.FIELD_INVALID,
            f"A head of {len(head.widths)} fragments and {head.classes} classes was given "
            f"{len(models)} fragments and {len(class_labels)} labels.",
            advice="Build the pack from the fragments and classes that its head was fitted on.",
            metadata={"field": "fragments"},
        )
    for number, (model, widths) in enumerate(zip(models, head.widths, strict=True)):
        found = find_classifier(model)
        if (found.feature_width, found.classes) != widths:
            raise FusionError(
                FusionReason.FIELD_INVALID,
                f"Fragment {number} has {found.feature_width} features and {found.classes} scores, "
                f"the head expects {widths[0]} and {widths[1]}.",
                advice="Give the fragments in the order that the head was fitted in.",
                metadata={"field": "fragments"},
            )
