"""Cutting groups: what changes in the graph, and what is refused."""

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from onnxgraph.classifier import as_fragment, find_classifier
from onnxgraph.cost import cost
from onnxgraph.groups import find_group, unit_groups
from onnxgraph.parity import run_onnx
from onnxgraph.surgery import Cut, Repair, cut, cut_all, cut_unfused
from tests.helpers.text_graphs import text_graph


def _run(model: ir.Model, x: NDArray[np.float32]) -> list[NDArray[Any]]:
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    outputs = run_onnx(ir.to_proto(model).SerializeToString(), {"x": x})
    return [np.asarray(output) for output in outputs.values()]


def _images(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def _chain() -> ir.Model:
    return text_graph(
        "float[N, 3, 6, 6] x => float[N, 2] y",
        """
        c = Conv <pads = [1, 1, 1, 1]> (x, w, b)
        a = Relu (c)
        d = Conv (a, u)
        r = Reshape (d, target)
        h = MatMul (r, v)
        y = MatMul (h, z)
        """,
        w=(4, 3, 3, 3),
        b=(4,),
        u=(3, 4, 3, 3),
        target=np.array([-1, 48]),
        v=(48, 6),
        z=(6, 2),
    )


def test_keeping_everything_changes_nothing() -> None:
    model, x = _chain(), _images(2, 3, 6, 6)
    for group in unit_groups(model)[0]:
        same = cut(model, group, Cut(np.arange(group.units)))
        np.testing.assert_array_equal(_run(same, x)[0], _run(model, x)[0])


def test_a_unit_that_is_exactly_restored_is_not_missed() -> None:
    """Units 2 and 3 are copies of unit 0: the repair that says so leaves the output as it is."""
    model, x = _chain(), _images(2, 3, 6, 6)
    for name in ("w", "b"):
        value = model.graph.initializers[name]
        assert value.const_value is not None
        array = value.const_value.numpy().copy()
        array[2] = array[3] = array[0]
        value.const_value = ir.tensor(array, name=name)
    group = find_group(model, "c")
    matrix = np.array([[1, 0], [0, 1], [1, 0], [1, 0]])
    smaller = cut(model, group, Cut(np.array([0, 1]), {"d": Repair(matrix)}))
    np.testing.assert_allclose(_run(smaller, x)[0], _run(model, x)[0], rtol=1e-4, atol=1e-4)


def test_parameters_are_exactly_those_of_units_dropped() -> None:
    model = _chain()
    group = find_group(model, "c")
    kept = np.array([1, 3])
    repaired = cut(model, group, Cut(kept, {"d": Repair(np.ones((4, 2)))}))
    dropped = cut(model, group, Cut(kept))
    assert cost(repaired) == cost(dropped)
    assert cost(dropped).parameters == cost(model).parameters - 2 * 28 - 2 * 27


def test_shapes_and_reshape_targets_follow_the_cut() -> None:
    model = _chain()
    smaller = cut(model, find_group(model, "d"), Cut(np.array([0, 2])))
    shapes = {output.name: output.shape for node in smaller.graph for output in node.outputs}
    assert list(shapes["d"] or ())[1:] == [2, 4, 4]
    assert list(shapes["r"] or ())[1:] == [32]
    target = smaller.graph.initializers["target"].const_value
    assert target is not None
    assert target.numpy().tolist() == [-1, 32]
    _run(smaller, _images(3, 3, 6, 6))


def test_the_model_that_is_cut_stays_as_it_was() -> None:
    model, x = _chain(), _images(2, 3, 6, 6)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    group = find_group(model, "h")
    cut(model, group, Cut(np.array([0]), {"y": Repair(np.ones((6, 1)), np.ones(6))}))
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before
    _run(model, x)


def test_features_of_a_fragment_shrink_and_its_classifier_is_repaired() -> None:
    model, x = _chain(), _images(2, 3, 6, 6)
    fragment = as_fragment(model, find_classifier(model))
    repair = Repair(np.random.default_rng(0).normal(size=(6, 2)), np.arange(6.0))
    chosen = Cut(np.array([2, 5]), {"y": repair})
    features, scores = _run(cut(fragment, find_group(fragment, "h"), chosen), x)
    whole, _ = _run(fragment, x)
    np.testing.assert_allclose(features, whole[:, [2, 5]], rtol=1e-5)
    weight = model.graph.initializers["z"].const_value
    assert weight is not None
    expected = (features @ repair.matrix.T + np.arange(6.0)) @ weight.numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_a_weight_shared_by_two_consumers_is_cut_for_one_of_them_only() -> None:
    model = text_graph(
        "float[N, 4] x => float[N, 2] y",
        """
        a = MatMul (x, w)
        b = Relu (a)
        c = MatMul (b, w)
        d = Tanh (c)
        y = MatMul (d, v)
        """,
        w=(4, 4),
        v=(4, 2),
    )
    x, random = _images(3, 4), np.random.default_rng(1)
    fused = apart = model
    for group in unit_groups(model)[0]:
        repairs = {c.node: Repair(random.normal(size=(4, 2))) for c in group.consumers}
        chosen = Cut(np.array([0, 3]), repairs)
        fused, apart = cut(fused, group, chosen), cut_unfused(apart, group, chosen)
    np.testing.assert_allclose(_run(fused, x)[0], _run(apart, x)[0], rtol=1e-4, atol=1e-5)
    widths = {v.name: v.shape for v in fused.graph.initializers.values()}
    assert sorted(list(shape or ()) for shape in widths.values()) == [[2, 2], [2, 2], [4, 2]]


def test_an_offset_in_front_of_zero_padding_is_refused_but_stands_apart() -> None:
    model = text_graph(
        "float[N, 3, 6, 6] x => float[N, 2, 6, 6] y",
        "c = Conv (x, w)\ny = Conv <pads = [1, 1, 1, 1]> (c, v)",
        w=(4, 3, 1, 1),
        v=(2, 4, 3, 3),
    )
    group = find_group(model, "c")
    chosen = Cut(np.array([0, 1]), {"y": Repair(np.ones((4, 2)), np.ones(4))})
    with pytest.raises(ValueError, match="an offset does not fold into 'y'"):
        cut(model, group, chosen)
    apart = _run(cut_unfused(model, group, chosen), _images(1, 3, 6, 6))[0]
    without = Cut(chosen.kept, {"y": Repair(np.ones((4, 2)))})
    assert not np.allclose(apart, _run(cut(model, group, without), _images(1, 3, 6, 6))[0])


@pytest.mark.parametrize(
    ("kept", "repairs", "message"),
    [
        ([], {}, "non-empty"),
        ([0.5], {}, "list of integers"),
        ([1, 0], {}, "must rise"),
        ([1, 1], {}, "must rise"),
        ([0, 4], {}, "must rise"),
        ([-1, 0], {}, "must rise"),
        ([0], {"nobody": Repair(np.ones((4, 1)))}, r"no consumers \['nobody'\]"),
        ([0], {"d": Repair(np.ones((1, 4)))}, r"must be \(4, 1\)"),
        ([0], {"d": Repair(np.ones((4, 1)), np.ones(3))}, r"must be \(4,\)"),
    ],
)
def test_a_cut_that_does_not_fit_is_refused(
    kept: list[int], repairs: dict[str, Repair], message: str
) -> None:
    model = _chain()
    with pytest.raises(ValueError, match=message):
        cut(model, find_group(model, "c"), Cut(np.array(kept), repairs))


def test_a_group_of_another_graph_is_refused() -> None:
    model = _chain()
    group = find_group(model, "c")
    smaller = cut(model, group, Cut(np.array([0, 1])))
    with pytest.raises(ValueError, match="has 2 units here, not 4"):
        cut(smaller, group, Cut(np.array([0])))
    with pytest.raises(ValueError, match="no unit group 'c', or it is cut twice"):
        cut_all(model, [(group, Cut(np.array([0]))), (group, Cut(np.array([1])))])
    with pytest.raises(KeyError, match="no unit group is called 'elsewhere'"):
        find_group(model, "elsewhere")
