"""A fused fragment equals its repairs apart, on random graphs, units and repairs."""

import numpy as np
import onnx
import onnx_ir as ir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.cost import cost
from onnxgraph.groups import UnitGroup, unit_groups
from onnxgraph.surgery import Cut, Repair, cut, cut_all, cut_unfused
from tests.helpers.exactness import (
    assert_copies_are_not_missed,
    assert_equal_in_float32,
    assert_equal_in_float64,
)
from tests.helpers.graph_builder import DrawnGraph
from tests.helpers.random_graphs import classifiers

_PACE = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def _random_cut(group: UnitGroup, random: np.random.Generator) -> Cut:
    size = int(random.integers(1, group.units + 1))
    kept = np.sort(random.choice(group.units, size, replace=False))
    repairs = {}
    for consumer in group.consumers:
        if random.random() < 0.85:
            offset = random.normal(size=group.units) if random.random() < 0.5 else None
            matrix = random.normal(size=(group.units, size)) / np.sqrt(size)
            repairs[consumer.node] = Repair(matrix, offset if consumer.offset_exact else None)
    return Cut(kept, repairs)


def _both_ways(model: ir.Model, seed: int) -> tuple[ir.Model, ir.Model]:
    """The same random cuts of random groups, one after the other, fused and not."""
    random = np.random.default_rng(seed)
    fused = apart = as_fragment(model, find_classifier(model))
    groups, _ = unit_groups(fused)
    assert groups
    for group in random.permutation(np.array(groups, dtype=object)):
        if random.random() < 0.8:
            chosen = _random_cut(group, random)
            fused, apart = cut(fused, group, chosen), cut_unfused(apart, group, chosen)
    onnx.checker.check_model(ir.to_proto(fused), full_check=True)
    return fused, apart


@_PACE
@given(classifiers(), st.integers(0, 2**32 - 1))
def test_cutting_all_groups_at_once_is_cutting_them_one_by_one(
    graph: DrawnGraph, seed: int
) -> None:
    random = np.random.default_rng(seed)
    model = graph.model(np.float32)
    fragment = as_fragment(model, find_classifier(model))
    cuts = [(group, _random_cut(group, random)) for group in unit_groups(fragment)[0]]
    one_by_one = fragment
    for group, chosen in cuts:
        one_by_one = cut(one_by_one, group, chosen)
    at_once = cut_all(fragment, cuts)
    assert cost(at_once) == cost(one_by_one)
    inputs = graph.inputs(2, np.float32)
    assert_equal_in_float32(at_once, one_by_one, inputs, 1e-5)


@_PACE
@given(classifiers(), st.integers(0, 2**32 - 1))
def test_a_fused_fragment_equals_its_repairs_apart_in_float32(graph: DrawnGraph, seed: int) -> None:
    fused, apart = _both_ways(graph.model(np.float32), seed)
    assert_equal_in_float32(fused, apart, graph.inputs(3, np.float32))


@_PACE
@given(classifiers(), st.integers(0, 2**32 - 1))
def test_a_fused_fragment_equals_its_repairs_apart_in_float64(graph: DrawnGraph, seed: int) -> None:
    fused, apart = _both_ways(graph.model(np.float64), seed)
    assert_equal_in_float64(fused, apart, graph.inputs(2, np.float64))


@_PACE
@given(classifiers(), st.integers(0, 2**32 - 1))
def test_units_that_are_copies_of_kept_ones_are_not_missed(graph: DrawnGraph, seed: int) -> None:
    model = graph.model(np.float64)
    whole = as_fragment(model, find_classifier(model))
    assert_copies_are_not_missed(whole, graph.inputs(2, np.float64), seed)
