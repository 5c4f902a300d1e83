"""Recurrent and text networks are planned, priced and sliced like any other."""

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnxgraph.cost import cost
from onnxgraph.normalise import normalise
from onnxgraph.parity import run_onnx
from onnxgraph.serialise import to_bytes
from onnxgraph.surgery import Cut, cut_all
from slicer_svc.slicing.augmentation import Augmentation, Words
from slicer_svc.slicing.costs import CostModel
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.fragments import SlicedClass, slice_classes
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.planner import make_plan
from slicer_svc.slicing.recipe import Criterion, Method, Recipe
from tests.helpers.graph_builder import DrawnGraph
from tests.helpers.recurrent_graphs import recurrent_classifiers
from tests.helpers.text_classifiers import (
    TOKENS,
    filter_classifier,
    recurrent_classifier,
    tokens,
)
from tests.helpers.text_graphs import text_graph

_PACE = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)

MODELS: dict[str, Callable[[], ir.Model]] = {
    "LSTM": lambda: recurrent_classifier("LSTM"),
    "GRU": lambda: recurrent_classifier("GRU"),
    "RNN": lambda: recurrent_classifier("RNN"),
    "filters": filter_classifier,
}


@_PACE
@given(drawn=recurrent_classifiers(), seed=st.integers(0, 2**16))
def test_the_price_of_kept_hidden_units_is_the_cost_of_the_cut_graph(
    drawn: DrawnGraph, seed: int
) -> None:
    network = Network.of(normalise(drawn.model(np.float32)))
    random = np.random.default_rng(seed)
    kept = {group.id: int(random.integers(1, group.units + 1)) for group in network.groups}
    cuts = [(group, Cut(np.arange(kept[group.id]))) for group in network.groups]
    price, measured = CostModel(network).price(kept), cost(cut_all(network.model, cuts))
    assert price.parameters == measured.parameters
    assert price.macs == measured.macs
    assert price.bytes == measured.bytes


def _fragments(name: str, recipe: Recipe) -> list[SlicedClass]:
    model, samples = MODELS[name](), tokens(8)
    plan = make_plan(model, samples, recipe, augment=Augmentation())
    return list(slice_classes(model, samples, plan, [0, 2], augment=Augmentation()))


@pytest.mark.parametrize("method", [Method.CLOSED_FORM, Method.RATE])
@pytest.mark.parametrize("name", MODELS)
def test_half_of_a_text_network_is_left_for_each_class(name: str, method: Method) -> None:
    whole = cost(MODELS[name]()).parameters
    for fragment in _fragments(name, Recipe(method=method, beta=0.5, steps=2)):
        data = to_bytes(fragment.model)
        onnx.checker.check_model(data, full_check=True)
        outputs = run_onnx(data, dict(tokens(1).inputs))
        assert outputs["features"].shape == (3, fragment.feature_width)
        assert outputs["scores"].shape == (3, 3)
        assert fragment.cost.parameters < 0.6 * whole
        assert fragment.feature_error < 0.5


@pytest.mark.parametrize("name", MODELS)
def test_a_text_network_fits_its_budget_and_keeps_its_features(name: str) -> None:
    model = MODELS[name]()
    for fragment in _fragments(name, Recipe(budget_macs=0.6)):
        assert fragment.cost.macs <= 0.6 * cost(model).macs
        assert fragment.feature_error < 0.2


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_all_units_kept_change_nothing(name: str) -> None:
    for fragment in _fragments(name, Recipe(beta=1.0)):
        assert fragment.feature_error < 1e-9


@pytest.mark.parametrize("name", MODELS)
def test_columns_of_an_embedding_stay_whole_and_the_plan_says_why(name: str) -> None:
    model, samples = MODELS[name](), tokens(8)
    plan = make_plan(model, samples, Recipe(beta=0.5), augment=Augmentation())
    (table,) = [part for part in plan.whole if "table" in part.reason]
    assert "12 rows" in table.reason
    fragments = slice_classes(model, samples, plan, [0], augment=Augmentation())
    cut = next(iter(fragments)).model
    (lookup,) = [node for node in cut.graph if node.name in table.nodes]
    assert lookup.inputs[0] is not None
    assert lookup.inputs[0].shape == model.graph.initializers["table"].shape


WORDS = Augmentation(texts=(Words("tokens", TOKENS, 0),))


@pytest.mark.parametrize("name", ["GRU", "filters"])
def test_views_of_text_bring_scores_of_new_texts_nearer_to_the_whole_model(name: str) -> None:
    model, samples, unseen = MODELS[name](), tokens(3), dict(tokens(200, seed=9).inputs)
    plan = make_plan(model, samples, Recipe(beta=0.5), augment=Augmentation())

    def scores(graph: ir.Model) -> NDArray[np.float64]:
        return np.asarray(run_onnx(to_bytes(graph), unseen)["scores"], np.float64)

    errors = {}
    for augment in (Augmentation(), WORDS):
        fragments = slice_classes(model, samples, plan, [0, 1, 2], augment=augment)
        errors[augment] = [np.square(scores(one.model) - scores(model)).mean() for one in fragments]
    assert np.mean(errors[WORDS]) < 0.9 * np.mean(errors[Augmentation()])


@pytest.mark.parametrize(
    "recipe",
    [Recipe(method=Method.RATE, steps=2), Recipe(criterion=Criterion.CLASS_TAYLOR)],
    ids=["trained", "class_taylor"],
)
def test_what_learns_from_labels_is_fitted_to_the_samples_own_words(recipe: Recipe) -> None:
    model, samples = MODELS["filters"](), tokens(3)
    plan = make_plan(model, samples, recipe, augment=Augmentation())
    plain, worded = (
        to_bytes(next(slice_classes(model, samples, plan, [0], augment=augment)).model)
        for augment in (Augmentation(), WORDS)
    )
    assert plain == worded


def test_a_bag_of_words_without_a_hidden_layer_is_refused() -> None:
    model = text_graph(
        "int64[batch, 6] tokens => float[batch, 3] scores",
        """
        words = Gather (table, tokens)
        features = ReduceMean <axes = [1], keepdims = 0> (words)
        scores = Gemm <transB = 1> (features, head, shift)
        """,
        table=np.ones((12, 5), np.float32),
        head=np.ones((3, 5), np.float32),
        shift=np.zeros(3, np.float32),
    )
    with pytest.raises(SlicingError, match="12 rows of the table") as refusal:
        Network.of(normalise(model))
    assert refusal.value.reason is SlicingReason.GRAPH_NO_SLICEABLE_UNIT
