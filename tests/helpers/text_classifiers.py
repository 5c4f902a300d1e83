"""Small normalised text classifiers with random weights, and token samples for them."""

import numpy as np
import onnx_ir as ir

from onnxgraph.normalise import normalise
from slicer_svc.slicing.samples import Samples
from tests.helpers.text_graphs import text_graph

TOKENS, LENGTH, CLASSES = 12, 6, 3

_EMBED = "words = Gather (table, tokens)\n"
_RECURRENT = """
steps = Transpose <perm = [1, 0, 2]> (words)
states = {op_type} <hidden_size = {hidden}, direction = "bidirectional"{more}> (steps, w, r, b)
joined = Transpose <perm = [0, 2, 1, 3]> (states)
both = Reshape (joined, shape)
second, last = {op_type} <hidden_size = {hidden}{more}> (both, w2, r2, b2)
features = Squeeze (last, front)
scores = Gemm <transB = 1> (features, head, shift)
"""
_FILTERS = """
channels = Transpose <perm = [0, 2, 1]> (words)
maps3 = Conv <pads = [2, 2]> (channels, k3, b3)
maps4 = Conv <pads = [3, 3]> (channels, k4, b4)
active3 = Relu (maps3)
active4 = Relu (maps4)
most3 = GlobalMaxPool (active3)
most4 = GlobalMaxPool (active4)
both = Concat <axis = 1> (most3, most4)
features = Flatten (both)
scores = Gemm <transB = 1> (features, head, shift)
"""
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_SIGNATURE = f"int64[batch, {LENGTH}] tokens => float[batch, {CLASSES}] scores"


def recurrent_classifier(op_type: str, hidden: int = 8, seed: int = 0) -> ir.Model:
    """Embedding, a layer in both directions, another in one, its last state, a dense layer."""
    width, rows = 6, _GATES[op_type] * hidden
    more = ", linear_before_reset = 1" if op_type == "GRU" else ""
    random = np.random.default_rng(seed)

    def scaled(*shape: int) -> np.ndarray:
        return np.asarray(random.normal(size=shape) / np.sqrt(shape[-1]), np.float32)

    model = text_graph(
        _SIGNATURE,
        _EMBED + _RECURRENT.format(op_type=op_type, hidden=hidden, more=more),
        table=random.normal(size=(TOKENS, width)).astype(np.float32),
        w=scaled(2, rows, width),
        r=scaled(2, rows, hidden),
        b=scaled(2, 2 * rows),
        shape=np.array([LENGTH, -1, 2 * hidden]),
        w2=scaled(1, rows, 2 * hidden),
        r2=scaled(1, rows, hidden),
        b2=scaled(1, 2 * rows),
        front=np.array([0]),
        head=scaled(CLASSES, hidden),
        shift=scaled(CLASSES),
    )
    return normalise(model)


def filter_classifier(filters: int = 10, seed: int = 0) -> ir.Model:
    """Kim's: an embedding, padded convolutions of widths 3 and 4, maxima, a dense layer."""
    width, random = 8, np.random.default_rng(seed)

    def scaled(*shape: int) -> np.ndarray:
        return np.asarray(random.normal(size=shape) / np.sqrt(np.prod(shape[1:])), np.float32)

    model = text_graph(
        _SIGNATURE,
        _EMBED + _FILTERS,
        table=random.normal(size=(TOKENS, width)).astype(np.float32),
        k3=scaled(filters, width, 3),
        b3=scaled(filters),
        k4=scaled(filters, width, 4),
        b4=scaled(filters),
        head=scaled(CLASSES, 2 * filters),
        shift=scaled(CLASSES),
    )
    return normalise(model)


def tokens(per_class: int, seed: int = 0) -> Samples:
    """Sequences in which the tokens of their class are frequent."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES, dtype=np.int64), per_class)
    own = labels[:, None] * (TOKENS // CLASSES) + random.integers(
        0, TOKENS // CLASSES, (len(labels), LENGTH)
    )
    any_token = random.integers(0, TOKENS, own.shape)
    chosen = np.where(random.random(own.shape) < 0.7, own, any_token)
    return Samples({"tokens": chosen.astype(np.int64)}, labels)
