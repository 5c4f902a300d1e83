"""What exact means: a fused graph against its repairs apart, and copies that are not missed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from onnxgraph.groups import unit_groups
from onnxgraph.parity import run_onnx
from onnxgraph.surgery import cut_all
from onnxgraph.view import TorchView
from tests.helpers.unit_copies import copied_units

Arrays = Mapping[str, NDArray[Any]]


def assert_close(ours: Arrays, theirs: Arrays, tolerance: float) -> None:
    """Holds that max|a − b| is at most `tolerance` of max|b| at every output."""
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.shape == theirs[name].shape
        assert np.abs(array - theirs[name]).max() <= tolerance * np.abs(theirs[name]).max()


def assert_equal_in_float32(
    fused: ir.Model, apart: ir.Model, inputs: Mapping[str, NDArray[Any]], tolerance: float = 1e-4
) -> None:
    """Compares two graphs by ONNX Runtime."""
    left, right = (
        run_onnx(ir.to_proto(model).SerializeToString(), inputs) for model in (fused, apart)
    )
    assert_close(left, right, tolerance)


def assert_equal_in_float64(
    fused: ir.Model, apart: ir.Model, inputs: Mapping[str, NDArray[Any]]
) -> None:
    """Compares the torch view of a graph with onnx's reference of the other; the input is `x`."""
    view = TorchView(fused, dtype=torch.float64)
    with torch.no_grad():
        values = view(torch.from_numpy(inputs["x"]))
    left = {name: value.numpy() for name, value in zip(view.output_names, values, strict=True)}
    proto = ir.to_proto(apart)
    names = [output.name for output in proto.graph.output]
    right = dict(zip(names, ReferenceEvaluator(proto).run(None, dict(inputs)), strict=True))
    assert_close(left, right, 1e-10)


def assert_copies_are_not_missed(
    whole: ir.Model, inputs: Mapping[str, NDArray[Any]], seed: int
) -> None:
    """Makes some units of a fragment copies of others, cuts them, and compares its scores.

    The proof that units are followed to their right places: the whole network is the judge.
    """
    random = np.random.default_rng(seed)
    cuts = [copied_units(whole, group, random) for group in unit_groups(whole)[0]]
    smaller = cut_all(whole, cuts)
    x = torch.from_numpy(inputs["x"])
    with torch.no_grad():
        _, expected = TorchView(whole, dtype=torch.float64)(x)
        _, found = TorchView(smaller, dtype=torch.float64)(x)
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()
