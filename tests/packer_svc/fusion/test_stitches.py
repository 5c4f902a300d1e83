"""Stitches between features of any shapes."""

import numpy as np
import onnx_ir as ir
import pytest
import torch

from onnxgraph.parity import run_onnx
from onnxgraph.passes.raise_opset import WORKING_IR_VERSION, WORKING_OPSET
from onnxgraph.serialise import to_bytes
from packer_svc.fusion.stitches import (
    Goal,
    fit_quickly,
    fit_stitch,
    joinable,
    stitch_cost,
    stitch_nodes,
)

SHAPES = [
    ((3, 8, 8), (5, 4, 4)),
    ((3, 4, 4), (5, 8, 8)),
    ((3, 6, 6), (2, 4, 4)),
    ((3, 4, 4), (2, 4, 4)),
    ((4, 3, 3), (6,)),
    ((7, 4), (7, 5)),
    ((7, 4), (3,)),
    ((4,), (9,)),
]


@pytest.mark.parametrize(("reads", "makes"), SHAPES)
def test_the_graph_of_a_stitch_computes_what_the_stitch_does(
    reads: tuple[int, ...], makes: tuple[int, ...]
) -> None:
    generator = torch.Generator().manual_seed(0)
    found = torch.randn((40, *reads), generator=generator)
    stitch = fit_stitch(found, torch.randn((40, *makes), generator=generator))
    source = ir.Value(
        name="x", shape=ir.Shape(["batch", *reads]), type=ir.TensorType(ir.DataType.FLOAT)
    )
    graph = ir.Graph([source], [], nodes=[], opset_imports={"": WORKING_OPSET}, name="graph")
    output = stitch_nodes(ir.tape.Tape(graph), source, stitch, "stitch")
    output.name, output.type = "y", source.type
    output.shape = ir.Shape(["batch", *makes])
    graph.outputs.append(output)
    model = ir.Model(graph, ir_version=WORKING_IR_VERSION)

    answer = run_onnx(to_bytes(model), {"x": found.numpy()})["y"].astype(np.float32)
    np.testing.assert_allclose(answer, stitch(found).numpy(), rtol=1e-4, atol=1e-4)
    assert answer.shape == (40, *makes)
    assert stitch.parameters == stitch_cost(reads, makes)[0]


def test_a_linear_relation_is_found_exactly() -> None:
    random = torch.Generator().manual_seed(1)
    found = torch.randn((200, 6), generator=random)
    matrix = torch.randn((6, 4), generator=random)
    stitch = fit_stitch(found, found @ matrix + 1.0)
    assert not stitch.rectified
    torch.testing.assert_close(stitch(found), found @ matrix + 1.0, rtol=1e-2, atol=1e-2)


def test_a_ridge_is_chosen_that_does_not_learn_chance_by_heart() -> None:
    random = torch.Generator().manual_seed(2)
    found, wanted = torch.randn((60, 40), generator=random), torch.randn((60, 4), generator=random)
    fresh = torch.randn((500, 40), generator=random)
    assert float((fit_stitch(found, wanted)(fresh) ** 2).mean()) < 1.0


def test_a_quick_stitch_does_what_a_careful_one_does_where_that_is_easy() -> None:
    random = torch.Generator().manual_seed(4)
    found = torch.randn((400, 6), generator=random)
    wanted = (found @ torch.randn((6, 4), generator=random)).relu()
    quick, careful = fit_quickly(found, Goal.of(wanted))(found), fit_stitch(found, wanted)(found)
    assert float((quick - careful).abs().mean()) < 0.05 * float(wanted.std())


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_features_of_any_scale_are_stitched_alike(scale: float) -> None:
    random = torch.Generator().manual_seed(5)
    found = torch.randn((400, 6), generator=random)
    wanted = found @ torch.randn((6, 4), generator=random)
    for stitch in (fit_quickly(found * scale, Goal.of(wanted)), fit_stitch(found * scale, wanted)):
        missed = (stitch(found * scale) - wanted).abs().mean()
        assert float(missed) < 0.05 * float(wanted.std())


def test_features_that_never_vary_get_no_weight() -> None:
    wanted = torch.randn((50, 2), generator=torch.Generator().manual_seed(6))
    for stitch in (
        fit_quickly(torch.ones(50, 3), Goal.of(wanted)),
        fit_stitch(torch.ones(50, 3), wanted),
    ):
        np.testing.assert_array_equal(stitch.weight, 0.0)
        np.testing.assert_allclose(stitch.bias, wanted.mean(dim=0), atol=1e-6)


def test_features_that_are_never_negative_are_imitated_so() -> None:
    random = torch.Generator().manual_seed(3)
    stitch = fit_stitch(
        torch.randn((50, 3, 4, 4), generator=random),
        torch.randn((50, 2, 4, 4), generator=random).relu(),
    )
    assert stitch.rectified
    assert float(stitch(torch.randn((9, 3, 4, 4), generator=random)).min()) >= 0


def test_what_does_not_say_where_things_are_leads_to_no_map() -> None:
    assert not joinable((8,), (3, 4, 4))
    assert not joinable((5, 8), (6, 8))
    assert not joinable((3, 4, 4), (16, 3))
    with pytest.raises(ValueError, match="no stitch"):
        fit_stitch(torch.zeros(4, 8), torch.zeros(4, 3, 2, 2))
