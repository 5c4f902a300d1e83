import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from onnxgraph.groups import unit_groups
from onnxgraph.normalise import normalise
from slicer_svc.slicing.augmentation import Augmentation
from slicer_svc.slicing.errors import SlicingError, SlicingReason
from slicer_svc.slicing.latency.design import designs, orthogonal_array
from slicer_svc.slicing.latency.machine import machine_name
from slicer_svc.slicing.latency.measure import measure_latency
from slicer_svc.slicing.latency.model import fit, latency_model
from slicer_svc.slicing.latency.table import LatencyTable, Point, Version
from slicer_svc.slicing.measurements import Measurements, measure
from slicer_svc.slicing.network import Network
from slicer_svc.slicing.plan import Curve
from slicer_svc.slicing.planner import plan_measured
from slicer_svc.slicing.progress import Progress, ignore
from slicer_svc.slicing.recipe import Recipe
from slicer_svc.slicing.samples import Samples
from tests.helpers.graph_builder import DrawnGraph
from tests.helpers.random_graphs import classifiers
from tests.helpers.small_classifiers import CHAIN, RESIDUAL, images, model_of
from tests.helpers.text_classifiers import filter_classifier, recurrent_classifier, tokens

VIEWS = Augmentation(images=("x",), pad=1)
MODELS: dict[str, tuple[Callable[[], ir.Model], Callable[[], Samples]]] = {
    "chain": (lambda: model_of(CHAIN), lambda: images(2)),
    "residual": (lambda: model_of(RESIDUAL), lambda: images(2)),
    "LSTM": (lambda: recurrent_classifier("LSTM"), lambda: tokens(2)),
    "filters": (filter_classifier, lambda: tokens(2)),
}


def by_macs(network: Network, ms: float = 8.0) -> LatencyTable:
    """A table of a machine on which every node takes as long as its MACs, whatever its size."""
    shares = product((1.0, 0.5), repeat=2)
    points = tuple(Point(read, written, ms / 4 * read * written) for read, written in shares)
    nodes = {str(node.name): points for node in network.model.graph if node.op_type in _LINEAR}
    whole = {group.id: group.units for group in network.groups}
    half = {group.id: group.units // 2 for group in network.groups}
    versions = (Version(whole, ms), Version(half, ms / 4))
    return LatencyTable(machine_name(), versions, nodes)


_LINEAR = ("Conv", "Gemm", "MatMul")


def curves_of(network: Network) -> tuple[Curve, ...]:
    return tuple(
        Curve(
            group.id,
            group.units,
            tuple(range(1, group.units)),
            tuple(1 - count / group.units for count in range(1, group.units)),
        )
        for group in network.groups
    )


def planned(network: Network, table: LatencyTable, **recipe: Any) -> Any:
    measured = Measurements(curves_of(network), table)
    return plan_measured(network, images(2), Recipe(**recipe), measured)


def test_any_two_columns_of_the_design_hold_every_pair_of_levels_once() -> None:
    array = orthogonal_array()
    assert array[0].tolist() == [0] * 5
    for one in range(5):
        for other in range(one):
            assert len({(a, b) for a, b in array[:, [one, other]].tolist()}) == 16


def test_groups_that_meet_are_cut_independently_of_each_other() -> None:
    network = Network.of(model_of(CHAIN))
    names = [group.id for group in network.groups]
    versions = designs(network.groups, list(pairwise(names)))
    assert versions[0] == {group.id: group.units for group in network.groups}
    for one, other in pairwise(network.groups):
        pairs = {(version[one.id], version[other.id]) for version in versions}
        sizes = [len({version[group.id] for version in versions}) for group in (one, other)]
        assert len(pairs) == sizes[0] * sizes[1]


@pytest.mark.parametrize("name", MODELS)
def test_a_measured_table_prices_the_whole_model_and_smaller_versions(name: str) -> None:
    build, samples = MODELS[name]
    network = Network.of(build())
    seen: list[Progress] = []
    table = measure_latency(network, samples(), seen.append)
    assert LatencyTable.from_json(json.loads(json.dumps(table.to_json()))) == table
    assert {progress.phase for progress in seen} == {"latency"}
    assert all(point.ms > 0 for points in table.nodes.values() for point in points)
    model = latency_model(network, table)
    whole = np.array([group.units for group in network.groups])
    assert model.predicted_ms(whole) == pytest.approx(table.whole_ms)
    half = model.predicted_ms(-(-whole // 2))
    assert model.predicted_ms(np.ones_like(whole)) <= half <= table.whole_ms * (1 + 1e-9)


def test_a_version_as_large_as_the_whole_model_changes_nothing() -> None:
    network = Network.of(model_of(CHAIN))
    whole = np.array([group.units for group in network.groups])
    for ms in np.random.default_rng(0).uniform(1, 10, 50).tolist():
        table = by_macs(network, ms)
        first, half = table.versions
        table = replace(table, versions=(first, replace(first, ms=ms * 0.98), half))
        assert latency_model(network, table).predicted_ms(whole) == pytest.approx(ms)


@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(drawn=classifiers())
def test_every_node_of_a_random_graph_that_counts_macs_is_measured(drawn: DrawnGraph) -> None:
    model = normalise(drawn.model(np.float32))
    if not unit_groups(model)[0]:
        return
    network = Network.of(model)
    samples = Samples(drawn.inputs(2, np.float32), np.arange(2))
    table = measure_latency(network, samples, ignore)
    linear = {str(node.name) for node in network.model.graph if node.op_type in ("Conv", "Gemm")}
    assert linear <= set(table.nodes)
    latency_model(network, table)


def test_the_fit_finds_what_a_node_takes_at_sizes_that_were_not_measured() -> None:
    def ms(read: float, written: float) -> float:
        return 0.01 + 0.2 * read + 0.1 * written + 3.0 * read * written

    levels = (1.0, 0.5, 0.25)
    points = [Point(read, written, ms(read, written)) for read in levels for written in levels]
    found = fit(points)
    assert found @ [1, 0.7, 0.3, 0.21, 0.09] == pytest.approx(ms(0.7, 0.3))
    assert (found >= 0).all()


def test_a_budget_of_time_holds_in_share_and_in_milliseconds() -> None:
    network = Network.of(model_of(CHAIN))
    table = by_macs(network)
    for recipe in ({"budget_latency": 0.5}, {"budget_latency_ms": 4.0}):
        plan = planned(network, table, **recipe)
        assert plan.latency.before_ms == 8.0
        assert plan.latency.after_ms <= 4.0 + 1e-9
        assert plan.macs_after < plan.macs_before


def test_the_time_is_predicted_beside_any_budget_where_it_is_asked_for() -> None:
    network = Network.of(model_of(CHAIN))
    told = planned(network, by_macs(network), budget_macs=0.5, predict_latency=True)
    assert told.latency.machine == machine_name()
    assert planned(network, by_macs(network), budget_macs=0.5).latency is None


@pytest.mark.parametrize(
    ("field", "asked", "whole", "unit"),
    [("budget_latency", 1e-3, 1.0, "of the model's time"), ("budget_latency_ms", 8e-3, 8.0, "ms")],
)
def test_a_budget_of_time_that_cannot_be_reached_is_refused_as_it_was_asked(
    field: str, asked: float, whole: float, unit: str
) -> None:
    network = Network.of(model_of(CHAIN))
    with pytest.raises(SlicingError) as caught:
        planned(network, by_macs(network), **{field: asked})
    assert caught.value.reason is SlicingReason.BUDGET_UNREACHABLE
    assert f" {unit}, " in caught.value.message
    assert float(caught.value.metadata["budget"]) == pytest.approx(asked)
    least = float(caught.value.metadata["least"])
    reached = planned(network, by_macs(network), **{field: least})
    assert reached.latency.after_ms / 8.0 <= least / whole


def test_times_of_this_machine_are_kept_and_those_of_another_measured_again() -> None:
    network, samples = Network.of(model_of(CHAIN)), images(4)
    here = by_macs(network)
    recipe = Recipe(budget_latency=0.9)

    def found(known: LatencyTable | None) -> LatencyTable | None:
        known_here = Measurements(curves_of(network), known)
        measured = measure(network, samples, recipe, augment=VIEWS, known=known_here, report=ignore)
        return measured.latency

    assert found(here) is here
    elsewhere = found(replace(here, machine="an abacus"))
    assert elsewhere is not None
    assert elsewhere.machine == machine_name()


def test_a_table_of_another_model_is_refused() -> None:
    network = Network.of(model_of(CHAIN))
    table = by_macs(network)
    stranger = replace(table, nodes={**table.nodes, "no such node": (Point(1.0, 1.0, 1.0),)})
    regrouped = replace(table, versions=tuple(Version({"other": 1}, ms) for ms in (2.0, 1.0)))
    for other in (stranger, regrouped):
        with pytest.raises(SlicingError) as caught:
            latency_model(network, other)
        assert caught.value.reason is SlicingReason.FIELD_INVALID


@pytest.mark.parametrize("field", ["machine", "versions", "nodes"])
def test_a_document_that_is_no_table_is_refused(field: str) -> None:
    data = by_macs(Network.of(model_of(CHAIN))).to_json()
    del data[field]
    with pytest.raises(SlicingError) as caught:
        LatencyTable.from_json(data)
    assert caught.value.reason is SlicingReason.FIELD_INVALID
