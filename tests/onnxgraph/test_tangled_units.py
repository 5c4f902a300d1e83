"""Units are followed rightly, or kept whole, through graphs that no one would train."""

import numpy as np
import onnx
import onnx_ir as ir
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxgraph.groups import unit_groups
from onnxgraph.parity import run_onnx
from onnxgraph.surgery import cut_all
from onnxgraph.view import TorchView
from tests.helpers.graph_builder import DrawnGraph
from tests.helpers.tangled_graphs import tangles
from tests.helpers.unit_copies import copied_units

_PACE = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@_PACE
@given(tangles(), st.integers(0, 2**32 - 1))
def test_copies_of_kept_units_are_not_missed_in_a_tangle(graph: DrawnGraph, seed: int) -> None:
    whole = graph.model(np.float64)
    random = np.random.default_rng(seed)
    cuts = [copied_units(whole, group, random) for group in unit_groups(whole)[0]]
    smaller = cut_all(whole, cuts)
    onnx.checker.check_model(ir.to_proto(smaller), full_check=True)
    for batch in (1, 2):
        x = torch.from_numpy(graph.inputs(batch, np.float64)["x"])
        with torch.no_grad():
            (expected,) = TorchView(whole, dtype=torch.float64)(x)
            (found,) = TorchView(smaller, dtype=torch.float64)(x)
        assert (found - expected).abs().max() <= 1e-9 * expected.abs().max() + 1e-12


@_PACE
@given(tangles())
def test_a_tangle_equals_onnx_runtime(graph: DrawnGraph) -> None:
    model = graph.model(np.float32)
    view, data = TorchView(model), ir.to_proto(model).SerializeToString()
    inputs = graph.inputs(3, np.float32)
    (expected,) = run_onnx(data, inputs).values()
    found = view(torch.from_numpy(inputs["x"]))[0].detach().numpy()
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(np.asarray(expected)).max() + 1e-6
