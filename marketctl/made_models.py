"""Small classifiers of made data, fitted in closed form: what `marketctl selftest` submits."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

_WIDTH: Final = 16
_HIDDEN: Final = 24
_CLASSES: Final = 3
_PER_CLASS: Final = 100
_UNSEEN: Final = 20
_DISTANCE: Final = 3.0
"""Between a cluster's centre and the middle, in its own standard deviations and per axis."""
_OPSET: Final = 17
_IR_VERSION: Final = 8

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MadeModel:
    """A classifier of three clusters of points, with samples.

    Attributes:
        labels: Its classes.
        input: The name of its input, (N, 16), float32.
        graph: An ONNX file.
        samples: An npz file.
        unseen: Points (N, 16) that are not among the samples, by class.
    """

    labels: tuple[str, ...]
    input: str
    graph: bytes
    samples: bytes
    unseen: tuple[Floats, ...]


def made_model(prefix: str, seed: int) -> MadeModel:
    """Makes a classifier: random hidden units, and the least squares on top.

    Args:
        prefix: What its labels begin with.
        seed: Where its clusters lie.
    """
    random = np.random.default_rng(seed)
    centres = random.choice((-_DISTANCE, _DISTANCE), size=(_CLASSES, _WIDTH))
    labels = np.tile(np.arange(_CLASSES, dtype=np.int64), _PER_CLASS)
    points = _around(centres[labels], random)
    inner = (random.normal(size=(_HIDDEN, _WIDTH)) / _WIDTH**0.5).astype(np.float32)
    hidden = np.maximum(points @ inner.T, 0)
    wide = np.c_[hidden, np.ones(len(hidden))]
    outer = np.linalg.lstsq(wide, np.eye(_CLASSES)[labels], rcond=None)[0].T.astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, points=points, labels=labels)
    return MadeModel(
        labels=tuple(f"{prefix}{place}" for place in range(_CLASSES)),
        input="points",
        graph=_graph(inner, outer[:, :-1], outer[:, -1]),
        samples=buffer.getvalue(),
        unseen=tuple(_around(np.tile(centre, (_UNSEEN, 1)), random) for centre in centres),
    )


def _around(centres: npt.NDArray[np.float64], random: np.random.Generator) -> Floats:
    return (centres + random.normal(size=centres.shape)).astype(np.float32)


def _graph(inner: Floats, outer: Floats, bias: Floats) -> bytes:
    """Returns two linear layers with a rectifier between them, as an ONNX file."""
    from onnx import TensorProto, helper, numpy_helper

    float32 = TensorProto.FLOAT
    weights = {
        "inner": inner,
        "inner_bias": np.zeros(_HIDDEN, np.float32),
        "outer": np.ascontiguousarray(outer),
        "outer_bias": np.ascontiguousarray(bias),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["points", "inner", "inner_bias"], ["sums"], transB=1),
            helper.make_node("Relu", ["sums"], ["hidden"]),
            helper.make_node("Gemm", ["hidden", "outer", "outer_bias"], ["scores"], transB=1),
        ],
        "made",
        [helper.make_tensor_value_info("points", float32, ["batch", _WIDTH])],
        [helper.make_tensor_value_info("scores", float32, ["batch", _CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
    return bytes(model.SerializeToString())
