"""Classifiers as someone would submit them, made without training in a few milliseconds."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.lib import format as npy
from numpy.typing import NDArray
from onnx import ModelProto
from sliceandpack.slicer.v1.input_spec_pb2 import InputSpec

from tests.helpers.graph_texts import parse, with_arrays

CNN = """
cnn (float[batch, 1, 8, 8] x) => (float[batch, {classes}] scores)
  <float[{width}, 1, 3, 3] w0, float[{width}] b0, float[{twice}, {width}, 3, 3] w1,
   float[{twice}] b1, float[{twice}, {flat}] w2, float[{twice}] b2,
   float[{classes}, {twice}] w3, float[{classes}] b3>
{{
  maps0 = Conv <pads = [1, 1, 1, 1]> (x, w0, b0)
  active0 = Relu (maps0)
  half = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (active0)
  maps1 = Conv <pads = [1, 1, 1, 1]> (half, w1, b1)
  active1 = Relu (maps1)
  flat = Flatten (active1)
  hidden = Gemm <transB = 1> (flat, w2, b2)
  features = Relu (hidden)
  scores = Gemm <transB = 1> (features, w3, b3)
}}
"""
"""Two convolutions and a hidden dense layer: three groups of units."""

MLP = """
mlp (float[batch, 1, 8, 8] x) => (float[batch, {classes}] scores)
  <float[{twice}, 64] w2, float[{twice}] b2, float[{classes}, {twice}] w3, float[{classes}] b3>
{{
  flat = Flatten (x)
  hidden = Gemm <transB = 1> (flat, w2, b2)
  features = Relu (hidden)
  scores = Gemm <transB = 1> (features, w3, b3)
}}
"""
"""One hidden dense layer: one group of units."""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Submission:
    """What a client sends.

    Attributes:
        graph: The ONNX file.
        samples: The npz.
        labels: The labels of its classes.
        inputs: What it says of its inputs.
    """

    graph: bytes
    samples: bytes
    labels: Sequence[str]
    inputs: Sequence[InputSpec]


def submission(
    text: str = CNN, *, classes: int = 3, width: int = 8, per_class: int = 8, seed: int = 0
) -> Submission:
    """A classifier of blobs that is right on nearly all of its samples."""
    arrays = blobs(classes, per_class, seed)
    return Submission(
        classifier(text, arrays, classes, width, seed).SerializeToString(),
        npz(arrays),
        labels_of(classes),
        [picture()],
    )


def labels_of(classes: int) -> list[str]:
    """The labels of a submission."""
    return [f"blob-{place}" for place in range(classes)]


def picture(name: str = "x") -> InputSpec:
    """What submissions say of their input."""
    spec = InputSpec(name=name)
    spec.image.value_range.minimum, spec.image.value_range.maximum = 0.0, 1.0
    return spec


def blobs(classes: int, per_class: int, seed: int = 0) -> Arrays:
    """Pictures `(n, 1, 8, 8)` from 0 to 1, a bright spot at another place for every class."""
    random = np.random.default_rng(seed)
    labels = np.tile(np.arange(classes, dtype=np.int64), per_class)
    angles = 2 * np.pi * labels / classes
    places = 3.5 + 2.5 * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    places = places + 0.3 * random.normal(size=places.shape)
    rows, columns = np.mgrid[0:8, 0:8]
    distance = (rows - places[:, :1, None]) ** 2 + (columns - places[:, 1:, None]) ** 2
    pixels = np.exp(-distance / 3.0) + 0.05 * random.random(size=distance.shape)
    return {"x": np.clip(pixels, 0.0, 1.0)[:, None].astype(np.float32), "labels": labels}


def classifier(text: str, arrays: Arrays, classes: int, width: int, seed: int = 0) -> ModelProto:
    """A graph with random layers but for the last one, which is fitted by least squares."""
    model = parse(
        text.format(classes=classes, width=width, twice=2 * width, flat=32 * width), seed=seed
    )
    random = np.random.default_rng(seed)
    scaled = {}
    for tensor in model.graph.initializer:
        fan_in = int(np.prod(tensor.dims[1:])) if len(tensor.dims) > 1 else 100
        drawn = random.normal(size=tuple(tensor.dims)) * np.sqrt(2.0 / fan_in)
        scaled[tensor.name] = drawn.astype(np.float32)
    drawn_model = with_arrays(model, scaled)
    features = _values(drawn_model, "features", arrays["x"])
    inputs = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    targets = np.eye(classes)[arrays["labels"]]
    ridge = 1e-3 * np.eye(inputs.shape[1])
    fitted = np.linalg.solve(inputs.T @ inputs + ridge, inputs.T @ targets).astype(np.float32)
    return with_arrays(drawn_model, {"w3": fitted[:-1].T.copy(), "b3": fitted[-1]})


def _values(model: ModelProto, name: str, x: NDArray[Any]) -> NDArray[np.float64]:
    copy = ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = ort.InferenceSession(copy.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run([name], {"x": x})
    return np.asarray(found, dtype=np.float64)


def npz(arrays: Mapping[str, NDArray[Any]], *, level: int = 0) -> bytes:
    """The bytes of samples, compressed from level 1 on."""
    method = zipfile.ZIP_DEFLATED if level else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=level or None) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                npy.write_array(member, array)
    return buffer.getvalue()
