"""Small classifiers of three classes to submit to a slicer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

FEATURES = 6
LABELS = ("cat", "dog", "owl")


@dataclass(frozen=True)
class Submission:
    """A graph with its samples, as files."""

    graph: Path
    samples: Path


def classifier(seed: int, hidden: int = 12) -> onnx.ModelProto:
    """A perceptron with two hidden layers over ``x`` (n, 6), three class scores."""
    generator = np.random.default_rng(seed)
    widths = (FEATURES, hidden, hidden, len(LABELS))
    nodes, weights, value = [], [], "x"
    for layer, (taken, given) in enumerate(itertools.pairwise(widths)):
        matrix = generator.standard_normal((taken, given)) / np.sqrt(taken)
        weights.append(numpy_helper.from_array(matrix.astype(np.float32), f"weight{layer}"))
        output = "scores" if given == widths[-1] else f"linear{layer}"
        nodes.append(helper.make_node("MatMul", [value, f"weight{layer}"], [output], f"fc{layer}"))
        value = output
        if value != "scores":
            nodes.append(helper.make_node("Relu", [value], [f"relu{layer}"], f"relu{layer}"))
            value = f"relu{layer}"
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(LABELS)])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def guesses(model: onnx.ModelProto, x: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The class that the perceptron gives each sample (n, 6)."""
    *hidden, last = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    for matrix in hidden:
        x = np.maximum(x @ matrix, 0)
    return np.asarray(np.argmax(x @ last, axis=1), np.int64)


def submission(folder: Path, seed: int = 0) -> Submission:
    """Writes a perceptron and samples that it classifies rightly, twelve a class."""
    model = classifier(seed)
    x = np.random.default_rng(seed).standard_normal((3000, FEATURES)).astype(np.float32)
    labels = guesses(model, x)
    places = np.concatenate([np.flatnonzero(labels == label)[:12] for label in range(3)])
    graph, samples = folder / f"graph{seed}.onnx", folder / f"samples{seed}.npz"
    onnx.save(model, graph)
    np.savez(samples, x=x[places], labels=labels[places])
    return Submission(graph, samples)
