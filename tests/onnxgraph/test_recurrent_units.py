"""Hidden units of recurrent layers: cut with their rows, columns and states, repaired exactly."""

import numpy as np
import onnx
import onnx_ir as ir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.groups import UnitGroup, unit_groups
from onnxgraph.surgery import Cut, Repair, cut, cut_unfused
from tests.helpers.exactness import (
    assert_copies_are_not_missed,
    assert_equal_in_float32,
    assert_equal_in_float64,
)
from tests.helpers.graph_builder import DrawnGraph
from tests.helpers.recurrent_graphs import recurrent_classifiers

_PACE = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def _random_cut(group: UnitGroup, random: np.random.Generator) -> Cut:
    size = int(random.integers(1, group.units + 1))
    kept = np.sort(random.choice(group.units, size, replace=False))

    def repair(*, offset: bool) -> Repair:
        matrix = random.normal(size=(group.units, size)) / np.sqrt(size)
        return Repair(matrix, random.normal(size=group.units) if offset else None)

    readers = [c for c in group.consumers if random.random() < 0.85]
    recurrent = [r for r in group.recurrences if random.random() < 0.85]
    return Cut(
        kept,
        {c.node: repair(offset=c.offset_exact and random.random() < 0.5) for c in readers},
        {r.node: repair(offset=False) for r in recurrent},
    )


def _both_ways(model: ir.Model, seed: int) -> tuple[ir.Model, ir.Model]:
    """Random cuts of all groups, one after the other, fused and not."""
    random = np.random.default_rng(seed)
    fused = apart = as_fragment(model, find_classifier(model))
    groups, _ = unit_groups(fused)
    assert any(group.recurrences for group in groups)
    for group in random.permutation(np.array(groups, dtype=object)):
        chosen = _random_cut(group, random)
        fused, apart = cut(fused, group, chosen), cut_unfused(apart, group, chosen)
    onnx.checker.check_model(ir.to_proto(fused), full_check=True)
    return fused, apart


@_PACE
@given(recurrent_classifiers(), st.integers(0, 2**32 - 1))
def test_repairs_folded_into_the_recurrent_matrix_equal_repairs_apart_in_float32(
    graph: DrawnGraph, seed: int
) -> None:
    fused, apart = _both_ways(graph.model(np.float32), seed)
    assert_equal_in_float32(fused, apart, graph.inputs(3, np.float32))


@_PACE
@given(recurrent_classifiers(), st.integers(0, 2**32 - 1))
def test_repairs_folded_into_the_recurrent_matrix_equal_repairs_apart_in_float64(
    graph: DrawnGraph, seed: int
) -> None:
    fused, apart = _both_ways(graph.model(np.float64), seed)
    assert_equal_in_float64(fused, apart, graph.inputs(2, np.float64))


@_PACE
@given(recurrent_classifiers(), st.integers(0, 2**32 - 1))
def test_hidden_units_that_are_copies_of_kept_ones_are_not_missed(
    graph: DrawnGraph, seed: int
) -> None:
    model = graph.model(np.float64)
    whole = as_fragment(model, find_classifier(model))
    assert_copies_are_not_missed(whole, graph.inputs(2, np.float64), seed)
