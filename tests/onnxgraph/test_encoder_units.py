"""Heads and neurons of random encoder blocks are cut exactly."""

import numpy as np
import onnx
import onnx_ir as ir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.groups import UnitGroup, unit_groups
from onnxgraph.surgery import Cut, Repair, cut, cut_unfused
from tests.helpers.encoder_graphs import encoders
from tests.helpers.exactness import (
    assert_copies_are_not_missed,
    assert_equal_in_float32,
    assert_equal_in_float64,
)
from tests.helpers.graph_builder import DrawnGraph

_PACE = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


def _fragment(graph: DrawnGraph, dtype: type[np.floating]) -> ir.Model:
    model = graph.model(dtype)
    return as_fragment(model, find_classifier(model))


def _random_cut(group: UnitGroup, random: np.random.Generator) -> Cut:
    size = int(random.integers(1, group.units + 1))
    kept = np.sort(random.choice(group.units, size, replace=False))
    repairs = {
        consumer.node: Repair(
            random.normal(size=(group.units, size)) / np.sqrt(size),
            random.normal(size=group.units) if random.random() < 0.5 else None,
        )
        for consumer in group.consumers
    }
    return Cut(kept, repairs)


def _both_ways(fragment: ir.Model, seed: int) -> tuple[ir.Model, ir.Model]:
    random = np.random.default_rng(seed)
    fused = apart = fragment
    for group in unit_groups(fragment)[0]:
        chosen = _random_cut(group, random)
        fused, apart = cut(fused, group, chosen), cut_unfused(apart, group, chosen)
    onnx.checker.check_model(ir.to_proto(fused), full_check=True)
    return fused, apart


@_PACE
@given(encoders(), st.integers(0, 2**32 - 1))
def test_every_block_gives_whole_heads_and_neurons(graph: DrawnGraph, seed: int) -> None:
    groups, whole = unit_groups(_fragment(graph, np.float64))
    products = sum(node.op_type == "Softmax" for node in graph.proto.graph.node)
    heads = [group for group in groups if "Softmax" in "".join(group.passes).title()]
    assert len(heads) == products
    assert len(groups) == 2 * products
    for group in heads:
        (consumer,) = group.consumers
        assert consumer.positions.shape == (group.units, consumer.block)
    assert all("LayerNormalization" in part.reason or "output" in part.reason for part in whole)


@_PACE
@given(encoders(), st.integers(0, 2**32 - 1))
def test_repairs_of_heads_fuse_in_float32(graph: DrawnGraph, seed: int) -> None:
    fused, apart = _both_ways(_fragment(graph, np.float32), seed)
    assert_equal_in_float32(fused, apart, graph.inputs(3, np.float32))


@_PACE
@given(encoders(), st.integers(0, 2**32 - 1))
def test_repairs_of_heads_fuse_in_float64(graph: DrawnGraph, seed: int) -> None:
    fused, apart = _both_ways(_fragment(graph, np.float64), seed)
    assert_equal_in_float64(fused, apart, graph.inputs(2, np.float64))


@_PACE
@given(encoders(), st.integers(0, 2**32 - 1))
def test_heads_that_are_copies_of_kept_ones_are_not_missed(graph: DrawnGraph, seed: int) -> None:
    whole = _fragment(graph, np.float64)
    assert_copies_are_not_missed(whole, graph.inputs(2, np.float64), seed)
