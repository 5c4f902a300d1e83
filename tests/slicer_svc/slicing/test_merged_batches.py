"""Graphs that merge rows or pictures of a sample into the batch, samples in front."""

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from onnxgraph.view import TorchView
from slicer_svc.slicing.activations import mean_activations
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.fragments import SlicedClass, slice_classes
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.recipe import Adaptation, Criterion, Method, Recipe
from slicer_svc.slicing.samples import Samples
from slicer_svc.slicing.walk import minibatches
from tests.helpers.small_classifiers import model_of

HEAD = """
  back = Reshape (features, apart)
  flat = Flatten (back)
  hidden = Gemm <transB = 1> (flat, w2, b2)
  active = Relu (hidden)
  scores = Gemm <transB = 1> (active, w3, b3)
}
"""
ROWS = f"""
rows (float[batch, 4, 1, 6, 6] x) => (float[batch, 3] scores)
  <int64[2] merged, float[8, 36] w0, float[8] b0, float[5, 8] w1, float[5] b1, int64[3] apart,
   float[7, 20] w2, float[7] b2, float[3, 7] w3, float[3] b3>
{{
  one = Reshape (x, merged)
  inner = Gemm <transB = 1> (one, w0, b0)
  active0 = Relu (inner)
  outer = Gemm <transB = 1> (active0, w1, b1)
  features = Relu (outer)
{HEAD}"""
PICTURES = f"""
pictures (float[batch, 4, 1, 6, 6] x) => (float[batch, 3] scores)
  <int64[4] merged, float[8, 1, 3, 3] w0, float[8] b0, float[5, 8, 3, 3] w1, float[5] b1,
   int64[3] apart, float[7, 20] w2, float[7] b2, float[3, 7] w3, float[3] b3>
{{
  one = Reshape (x, merged)
  inner = Conv (one, w0, b0)
  active0 = Relu (inner)
  outer = Conv (active0, w1, b1)
  active1 = Relu (outer)
  features = GlobalAveragePool (active1)
{HEAD}"""
MERGED = {ROWS: [-1, 36], PICTURES: [-1, 1, 6, 6]}
RECIPES = [
    *(Recipe(criterion=criterion, views=1, steps=1) for criterion in Criterion),
    *(Recipe(method=method, views=1, steps=1) for method in Method),
]


def merging(text: str) -> ir.Model:
    return model_of(text, merged=np.array(MERGED[text]), apart=np.array([-1, 4, 5]))


def samples(count: int = 12) -> Samples:
    x = np.random.default_rng(0).normal(size=(count, 4, 1, 6, 6)).astype(np.float32)
    return Samples({"x": x}, np.arange(count) % 3)


def fragment(text: str, recipe: Recipe) -> SlicedClass:
    model, none = merging(text), Augmentation()
    plan = make_plan(model, samples(), recipe, augment=none)
    (found,) = slice_classes(model, samples(), plan, [0], augment=none)
    assert len(plan.groups) == 3
    return found


@pytest.mark.parametrize(
    "recipe", RECIPES, ids=lambda recipe: f"{recipe.method}-{recipe.criterion}"
)
@pytest.mark.parametrize("text", [ROWS, PICTURES], ids=["rows", "pictures"])
def test_a_merged_batch_is_sliced_by_every_criterion(text: str, recipe: Recipe) -> None:
    assert fragment(text, recipe).score_error < 1.0


@pytest.mark.parametrize("text", [ROWS, PICTURES], ids=["rows", "pictures"])
def test_consumers_of_a_merged_batch_are_fitted_anew(text: str) -> None:
    fitted = fragment(text, Recipe(views=1))
    bare = fragment(text, Recipe(views=1, adaptation=Adaptation.NONE))
    assert fitted.score_error < 0.5 * bare.score_error


@pytest.mark.parametrize("text", [ROWS, PICTURES], ids=["rows", "pictures"])
def test_samples_of_weight_zero_do_not_count_in_a_merged_batch(text: str) -> None:
    network = Network.of(merging(text))
    view = TorchView(network.model)

    def means(given: Samples, weights: list[float]) -> dict[str, NDArray[np.float64]]:
        batches = minibatches(given, np.array(weights))
        return mean_activations(
            lambda inputs, fetch: view.run(inputs, fetch=fetch), network.groups, batches
        )

    three = samples(3)
    alone = means(three.take(np.array([1])), [1.0])
    for group, found in means(three, [0.0, 1.0, 0.0]).items():
        np.testing.assert_allclose(found, alone[group], rtol=1e-5)
