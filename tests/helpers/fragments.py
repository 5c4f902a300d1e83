"""Small fragments and samples that they can tell apart, for tests of the fusion."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.serialise import to_bytes
from packer_svc.fusion.features import FragmentFeatures, fragment_features
from tests.helpers.graph_texts import parse

CONVOLUTION = """
convolution (float[batch, 2, 6, 6] image) => (float[batch, 3] scores)
  <float[12, 2, 3, 3] w0, float[12] b0, float[3, 108] w1, float[3] b1>
{
  maps = Conv <pads = [1, 1, 1, 1]> (image, w0, b0)
  active = Relu (maps)
  pooled = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (active)
  flat = Flatten (pooled)
  scores = Gemm <transB = 1> (flat, w1, b1)
}
"""

DENSE = """
dense (float[batch, 2, 6, 6] image) => (float[batch, 4] scores)
  <float[72, 20] w0, float[20] b0, float[20, 4] w1, float[4] b1>
{
  flat = Flatten (image)
  product = MatMul (flat, w0)
  hidden = Add (product, b0)
  active = Relu (hidden)
  raw = MatMul (active, w1)
  scores = Add (raw, b1)
}
"""

POINTWISE = """
pointwise (float[batch, 2, 6, 6] image) => (float[batch, 5] scores)
  <float[9, 2, 6, 6] w0, float[9] b0, float[5, 9, 1, 1] w1, float[5] b1>
{
  maps = Conv (image, w0, b0)
  active = Tanh (maps)
  grid = Conv (active, w1, b1)
  scores = Flatten (grid)
}
"""

SHAPE = (2, 6, 6)


@dataclass(frozen=True)
class Case:
    """Fragments, and labelled samples of all classes with what each fragment says of them."""

    fragments: tuple[bytes, ...]
    inputs: dict[str, npt.NDArray[np.float32]]
    labels: npt.NDArray[np.int64]
    features: tuple[FragmentFeatures, ...]


@cache
def fragment(text: str, seed: int = 0) -> bytes:
    """A fragment of a graph in textual form, through the whole way of a submitted one."""
    model = normalise(load_model(parse(text, seed=seed).SerializeToString()))
    return to_bytes(as_fragment(model, find_classifier(model)))


def samples(
    classes: int, per_class: int, *, seed: int = 0, noise: float = 0.5
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Noisy copies `(n, 2, 6, 6)` of one prototype a class, and their labels."""
    prototypes = np.random.default_rng(12345).standard_normal((classes, *SHAPE))
    labels = np.repeat(np.arange(classes), per_class)
    drawn = np.random.default_rng(seed).standard_normal((len(labels), *SHAPE))
    return (prototypes[labels] + noise * drawn).astype(np.float32), labels


@cache
def case(
    *texts: str, classes: int = 3, per_class: int = 6, seed: int = 0, noise: float = 0.5
) -> Case:
    """Fragments of `texts` on samples of `classes` classes."""
    images, labels = samples(classes, per_class, seed=seed, noise=noise)
    inputs = {"image": images}
    graphs = tuple(fragment(text, seed=i) for i, text in enumerate(texts))
    return Case(graphs, inputs, labels, tuple(fragment_features(g, inputs) for g in graphs))


def gaussian_features(
    classes: int, per_class: int, widths: tuple[int, ...], *, seed: int = 0
) -> tuple[list[FragmentFeatures], npt.NDArray[np.int64]]:
    """Features of no network: Gaussian classes, one block of features and of scores a width."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    blocks = []
    for width in widths:
        centres = generator.standard_normal((classes, width))
        features = centres[labels] + generator.standard_normal((len(labels), width))
        scores = features @ generator.standard_normal((width, 3))
        blocks.append(FragmentFeatures(features.astype(np.float32), scores.astype(np.float32)))
    return blocks, labels
