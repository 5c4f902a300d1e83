"""Every row of the operator table means what ONNX Runtime and the ONNX reference say."""

from typing import Any, cast

import numpy as np
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from onnxgraph.groups import unit_groups
from onnxgraph.operators import TABLE, supported_operators
from onnxgraph.parity import run_onnx
from onnxgraph.surgery import cut_all
from onnxgraph.view import TorchView
from tests.helpers.one_node import NodeCase as Case
from tests.helpers.one_node import node_between_layers, one_node_model
from tests.helpers.text_graphs import text_graph
from tests.helpers.unit_copies import copied_units

_INDICES = np.array([0, 2, -1], dtype=np.int64)


def _normal(*shape: int) -> NDArray[np.float64]:
    return np.random.default_rng(sum(shape)).normal(size=shape)


def _ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _scales(*positions: float) -> NDArray[np.float32]:
    return np.array([1.0, 1.0, *positions], dtype=np.float32)


_WEIGHT = _normal(4, 3, 3, 2)
_CHANNELS = (_normal(3), _normal(3), _normal(3), np.abs(_normal(3)) + 0.5)
_WINDOW = {"kernel_shape": [3, 2], "strides": [2, 2]}

CASES = (
    Case("Conv", constants=[_WEIGHT, _normal(4)], attributes={"pads": [1, 0, 2, 1]}),
    Case("Conv", constants=[_WEIGHT], attributes={"strides": [2, 1], "dilations": [2, 2]}),
    Case("Conv", constants=[_WEIGHT], attributes={"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    Case("Conv", constants=[_WEIGHT], attributes={"auto_pad": "SAME_LOWER", "strides": [2, 1]}),
    Case("Conv", constants=[_WEIGHT], attributes={"auto_pad": "VALID"}),
    Case("Conv", constants=[_normal(6, 1, 3, 3)], attributes={"group": 3, "pads": [1, 1, 1, 1]}),
    Case("Conv", (4, 9), [_normal(6, 2, 3), _normal(6)], {"group": 2, "pads": [2, 0]}),
    Case("Gemm", (5,), [_normal(4, 5), _normal(4)], {"transB": 1}),
    Case("Gemm", (5,), [_normal(5, 4), _normal(1, 4)], {"alpha": 0.5, "beta": 2.0}),
    Case("Gemm", (5,), [_normal(5, 4)]),
    Case("MatMul", (5,), [_normal(5, 4)]),
    Case("MatMul", (2, 3, 5), [_normal(5, 4)]),
    Case("MatMul", (3, 5), [_normal(2, 3)], data_first=False),
    Case("BatchNormalization", constants=_CHANNELS, attributes={"epsilon": 1e-3}),
    Case("BatchNormalization", (3,), _CHANNELS),
    Case("Relu"),
    Case("LeakyRelu"),
    Case("LeakyRelu", attributes={"alpha": 0.2}),
    Case("Elu"),
    Case("Elu", attributes={"alpha": 0.5}),
    Case("PRelu", constants=[_normal(3, 1, 1)]),
    Case("Sigmoid"),
    Case("HardSigmoid"),
    Case("HardSigmoid", attributes={"alpha": 0.3, "beta": 0.4}),
    Case("Tanh"),
    Case("HardSwish"),
    Case("Clip", constants=[np.array(-0.5), np.array(0.5)]),
    Case("Clip", constants=[None, np.array(0.5)]),
    Case("Dropout"),
    Case("Dropout", constants=[np.array(0.3), np.array(False)]),
    Case("Identity"),
    Case("Softmax"),
    Case("Softmax", attributes={"axis": 1}),
    Case("LogSoftmax"),
    Case("MaxPool", attributes={**_WINDOW, "pads": [1, 0, 1, 1]}),
    Case("MaxPool", attributes={**_WINDOW, "ceil_mode": 1}),
    Case("MaxPool", attributes={**_WINDOW, "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    Case("MaxPool", attributes={"kernel_shape": [3, 2], "dilations": [2, 3]}),
    Case("MaxPool", attributes={**_WINDOW, "auto_pad": "SAME_UPPER"}),
    Case("MaxPool", (3, 8), attributes={"kernel_shape": [3], "pads": [1, 1]}, reference=False),
    Case("AveragePool", attributes={**_WINDOW, "pads": [1, 0, 1, 1]}),
    Case("AveragePool", attributes={**_WINDOW, "pads": [1, 0, 1, 1], "count_include_pad": 1}),
    Case("AveragePool", attributes={**_WINDOW, "ceil_mode": 1}),
    Case("AveragePool", attributes={**_WINDOW, "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
    Case(
        "AveragePool",
        attributes={**_WINDOW, "ceil_mode": 1, "pads": [1, 1, 0, 0], "count_include_pad": 1},
        opset=19,
    ),
    Case("AveragePool", attributes={"kernel_shape": [2, 2], "dilations": [3, 2]}, opset=19),
    Case("AveragePool", (3, 8), attributes={"kernel_shape": [3]}),
    Case("GlobalAveragePool"),
    Case("GlobalAveragePool", (3, 5)),
    Case("GlobalMaxPool"),
    Case("ReduceMean", attributes={"axes": [2, 3]}),
    Case("ReduceMean", attributes={"axes": [-1], "keepdims": 0}),
    Case("ReduceMean", constants=[_ints(2, 3)], attributes={"keepdims": 0}, opset=18),
    Case("ReduceMean", attributes={"noop_with_empty_axes": 1}, opset=18),
    Case("Flatten"),
    Case("Flatten", attributes={"axis": -2}),
    Case("Reshape", constants=[_ints(0, -1, 6)]),
    Case("Reshape", constants=[_ints(-1, 126)], attributes={"allowzero": 1}),
    Case("Transpose", attributes={"perm": [0, 2, 3, 1]}),
    Case("Transpose"),
    Case("Squeeze", (3, 1, 1), [_ints(2, -1)]),
    Case("Squeeze", (1, 4)),
    Case("Unsqueeze", (3,), [_ints(-1, 1)]),
    Case("Concat", constants=[_normal(1, 3, 7, 6)], attributes={"axis": 0}),
    Case("Cast", attributes={"to": int(ir.DataType.INT64)}),
    Case("Pad", constants=[_ints(0, 0, 1, 0, 0, 1, 0, 2), np.array(0.5)]),
    Case("Pad", constants=[_ints(0, 0, 2, 1, 0, 0, 0, 2)], attributes={"mode": "reflect"}),
    Case("Pad", constants=[_ints(0, 0, 2, 1, 0, 0, 0, 2)], attributes={"mode": "edge"}),
    Case("Pad", constants=[_ints(1, 2, 0, 1), None, _ints(-1, 2)], opset=18),
    Case("Pad", constants=[_ints(0, 0, 2, 1, 0, 0, 0, 2)], attributes={"mode": "wrap"}, opset=19),
    Case("Pad", constants=[_ints(0, 0, -1, 0, 0, 0, 0, -2)], reference=False),
    Case("Add", constants=[_normal(3, 1, 1)]),
    Case("Sub", constants=[_normal(3, 1, 1)], data_first=False),
    Case("Mul", constants=[_normal(6)]),
    Case("Div", constants=[np.array(2.5)]),
    Case("Shape"),
    Case("Shape", attributes={"start": 1, "end": -1}),
    Case("Gather", constants=[_INDICES], attributes={"axis": 1}),
    Case("Gather", constants=[np.array(1, dtype=np.int64)], attributes={"axis": 2}),
    Case("Gather", (4, 5), [_ints(3, 0, -2, 1)], {"axis": 1}),
    Case("GatherElements", (4,), [_ints(3, 0, -2, 1)[None]], {"axis": 1}, reference=False),
    Case("Slice", (4, 5), [_ints(1), _ints(3), _ints(1)]),
    Case("Slice", constants=[_ints(1, -4), _ints(5, 100), _ints(2, 3), _ints(2, 1)]),
    Case("Slice", constants=[_ints(-1), _ints(-100), _ints(2), _ints(-2)]),
    *(Case(name) for name in ("Abs", "Ceil", "Cos", "Exp", "Floor", "Neg")),
    Case("Mish", opset=18),
    *(Case(name) for name in ("Reciprocal", "Round", "Selu", "Sign", "Sin", "Celu", "Softplus")),
    *(Case(name) for name in ("Softsign", "ThresholdedRelu")),
    *(Case(name, positive=True) for name in ("Log", "Sqrt")),
    Case("Erf", reference=False),
    Case("Gelu", opset=20, reference=False),
    Case("Gelu", attributes={"approximate": "tanh"}, opset=20, reference=False),
    Case("Selu", attributes={"alpha": 1.5, "gamma": 0.5}),
    Case("Celu", attributes={"alpha": 0.7}),
    Case("ThresholdedRelu", attributes={"alpha": 0.3}),
    Case("IsNaN"),
    Case("Mod", constants=[_normal(3, 1, 1)], attributes={"fmod": 1}),
    Case("Pow", constants=[np.array(2.0)]),
    Case("Pow", constants=[np.array([0.5])], positive=True),
    Case("Max", constants=[_normal(3, 1, 1), _normal(6)]),
    Case("Min", constants=[_normal(3, 1, 1)]),
    Case("Sum", constants=[_normal(3, 1, 1), _normal(6)]),
    Case("Mean", constants=[_normal(3, 7, 6), _normal(6)]),
    *(Case(name, constants=[_normal(3, 1, 1)]) for name in ("Less", "LessOrEqual", "Greater")),
    Case("GreaterOrEqual", constants=[_normal(3, 1, 1)]),
    Case("Equal", constants=[_normal(3, 1, 1)]),
    *(
        Case("ReduceSum", constants=[_ints(2)], attributes={"keepdims": keep}, opset=13)
        for keep in (0, 1)
    ),
    *(
        Case(name, constants=[_ints(-1, 2)], opset=18)
        for name in ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2")
    ),
    Case("ReduceMax", attributes={"axes": [2]}),
    Case("ReduceSumSquare", constants=[_ints(2)], opset=18),
    Case("ReduceLogSumExp", constants=[_ints(2)], opset=18),
    Case("LayerNormalization", constants=[_normal(6), _normal(6)]),
    Case("LayerNormalization", constants=[_normal(7, 6)], attributes={"axis": 2}),
    Case("RMSNormalization", constants=[_normal(6)], opset=23, runtime=False),
    Case("InstanceNormalization", constants=[_normal(3), _normal(3)]),
    Case("LpNormalization"),
    Case("LpNormalization", attributes={"p": 1, "axis": 2}, reference=False),
    Case("Expand", constants=[_ints(1, 3, 1, 6)]),
    Case("Expand", constants=[_ints(2, 1, 3, 1, 1)]),
    Case("Tile", constants=[_ints(1, 2, 1, 3)]),
    Case("Trilu"),
    Case("Trilu", constants=[np.array(1, dtype=np.int64)], attributes={"upper": 0}),
    Case("CumSum", constants=[np.array(2, dtype=np.int64)]),
    Case(
        "CumSum",
        constants=[np.array(-1, dtype=np.int64)],
        attributes={"reverse": 1, "exclusive": 1},
    ),
    # The open axis of a recurrent operator's data is that of its steps.
    Case("LSTM", (2, 3), [_normal(1, 16, 3), _normal(1, 16, 4)], {"hidden_size": 4}),
    Case(
        "LSTM",
        (2, 3),
        [
            *(_normal(1, 16, 3), _normal(1, 16, 4), _normal(1, 32), None),
            *(_normal(1, 2, 4), _normal(1, 2, 4), _normal(1, 12)),
        ],
        {"hidden_size": 4, "direction": "reverse"},
    ),
    Case(
        "GRU",
        (2, 3),
        [_normal(2, 12, 3), _normal(2, 12, 4), _normal(2, 24)],
        {"hidden_size": 4, "direction": "bidirectional", "linear_before_reset": 1},
    ),
    Case("RNN", (2, 3), [_normal(1, 4, 3), _normal(1, 4, 4), _normal(1, 8)], {"hidden_size": 4}),
    Case("LRN", (7, 3, 2), attributes={"size": 3, "alpha": 0.5, "bias": 2.0}, reference=False),
    Case("LRN", (5, 4, 1), attributes={"size": 5}, reference=False),
    Case("Resize", constants=[None, _scales(2.0, 1.5)]),
    Case("Resize", constants=[None, None, _ints(5, 9)], attributes={"axes": [3, 2]}, opset=18),
    *[
        Case("Resize", (3, 7, 6), [None, scales], attributes, reference=scales[2] > 1)
        for scales in (_scales(2.0, 0.5), _scales(0.5, 3.0))
        for attributes in (
            {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
            {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
            {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
            {"mode": "cubic"},
            {"nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"},
            {"nearest_mode": "ceil"},
            {"nearest_mode": "round_prefer_ceil"},
        )
    ],
    Case("DepthToSpace", (8, 2, 3), attributes={"blocksize": 2}),
    Case("DepthToSpace", (8, 2, 3), attributes={"blocksize": 2, "mode": "CRD"}),
    Case("SpaceToDepth", (2, 4, 6), attributes={"blocksize": 2}),
    Case(
        "ConvTranspose",
        constants=[_normal(3, 4, 3, 2), _normal(4)],
        attributes={"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 0]},
    ),
    Case(
        "ConvTranspose", (4, 5), [_normal(4, 3, 3)], {"group": 2, "dilations": [2]}, reference=False
    ),
    Case("Constant", attributes={"value_floats": [0.5, 1.5]}),
    Case("Constant", attributes={"value_int": 3}),
)


def _view_output(model: ir.Model, inputs: dict[str, Any], dtype: torch.dtype) -> NDArray[Any]:
    view = TorchView(model, dtype=dtype)
    (output,) = view(*(torch.from_numpy(array) for array in inputs.values()))
    return np.asarray(output.detach().numpy())


def _inputs(case: Case, batch: int, dtype: type[np.floating]) -> dict[str, Any]:
    x = _normal(batch, *case.sample).astype(dtype)
    return {"x": np.abs(x) + dtype(0.1) if case.positive else x}


def _distance(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest difference as a share of the largest entry; truth values are 0 and 1."""
    ours, theirs = found.astype(np.float64), expected.astype(np.float64)
    return float(np.abs(ours - theirs).max()) / max(float(np.abs(theirs).max()), 1e-3)


@pytest.mark.parametrize("case", [case for case in CASES if case.runtime], ids=str)
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_an_operator_equals_onnx_runtime(case: Case, batch: int) -> None:
    model = one_node_model(case, np.float32)
    inputs = _inputs(case, batch, np.float32)
    (expected,) = run_onnx(ir.to_proto(model).SerializeToString(), inputs).values()
    found = _view_output(model, inputs, torch.float32)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    assert _distance(found, expected) <= 1e-4


@pytest.mark.parametrize("case", [case for case in CASES if case.reference], ids=str)
def test_an_operator_equals_the_onnx_reference_in_float64(case: Case) -> None:
    model = one_node_model(case, np.float64)
    inputs = _inputs(case, 2, np.float64)
    outputs = cast(list[Any], ReferenceEvaluator(ir.to_proto(model)).run(None, inputs))
    expected = np.asarray(outputs[0])
    found = _view_output(model, inputs, torch.float64)
    assert found.shape == expected.shape
    assert _distance(found, expected) <= 1e-10


@pytest.mark.parametrize("opset", [13, 18, 21, 23])
def test_axes_and_bounds_are_read_where_each_opset_keeps_them(opset: int) -> None:
    axes: dict[str, Any] = {"attributes": {"axes": [2, 3]}}
    if opset >= 18:
        axes = {"constants": [_ints(2, 3)]}
    cases = [
        Case("ReduceMean", opset=opset, **axes),
        Case("Squeeze", (3, 1), [_ints(2)], opset=opset),
        Case("Unsqueeze", (3,), [_ints(2)], opset=opset),
        Case("Clip", constants=[np.array(-0.5), np.array(0.5)], opset=opset),
        Case("Pad", constants=[_ints(0, 0, 1, 0, 0, 1, 0, 2)], opset=opset),
        Case("Dropout", constants=[np.array(0.3)], opset=opset),
    ]
    for case in cases:
        model, inputs = one_node_model(case, np.float32), _inputs(case, 2, np.float32)
        (expected,) = run_onnx(ir.to_proto(model).SerializeToString(), inputs).values()
        assert np.allclose(_view_output(model, inputs, torch.float32), expected, rtol=1e-5)


_LOGIC = {
    "And": "y = And(a, b)",
    "Or": "y = Or(a, b)",
    "Xor": "y = Xor(a, b)",
    "Not": "y = Not(a)",
    "Where": "y = Where(a, x, c)",
    "Range": "r = Range(zero, six, two)\ny = Add(x, r)",
    "ConstantOfShape": "r = ConstantOfShape <value = float[1] {0.5}> (shape)\ny = Add(x, r)",
}
"""Operators on truth values and on sizes, behind or in front of floating ones."""

_TRUTH = {"And", "Or", "Xor", "Not"}


_APART = {"Attention", "Cast", "Concat", "GroupNormalization", "GRU", "LSTM", "RNN"}
"""Operators whose units are followed in tests of their own."""

_NO_UNITS = {"Constant", "ConstantOfShape", "Range", "Shape"}
"""Operators that make values without units."""

_TRUTHS = {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "IsNaN", *_TRUTH, "Where"}
"""Operators on truth values: no linear node reads these."""

_MIXING = {"ConvTranspose", "DepthToSpace", "GatherElements", "LRN", "SpaceToDepth"}
"""Operators in front of which all units stay whole."""

_FOLLOWED = supported_operators() - _APART - _NO_UNITS - _TRUTHS - _MIXING
"""Operators through which a case follows units."""


@pytest.mark.parametrize("name", _LOGIC)
def test_logic_and_ranges_equal_onnx_runtime(name: str) -> None:
    model = text_graph(
        f"float[N, 3] x => {'bool' if name in _TRUTH else 'float'}[N, 3] y",
        f"""
        a = Greater (x, c)
        b = Less (x, d)
        {_LOGIC[name]}
        """,
        c=(3,),
        d=(3,),
        zero=np.float32(0),
        six=np.float32(6),
        two=np.float32(2),
        shape=np.array([1, 3]),
    )
    inputs = {"x": _normal(4, 3).astype(np.float32)}
    (expected,) = run_onnx(ir.to_proto(model).SerializeToString(), inputs).values()
    found = _view_output(model, inputs, torch.float32)
    assert found.dtype == expected.dtype
    assert np.allclose(found, expected)


def test_every_row_of_the_table_has_a_case() -> None:
    assert {case.op_type for case in CASES} | set(_LOGIC) | _APART == supported_operators()
    assert all(name == row.name for name, row in TABLE.items())


_BETWEEN = [case for case in CASES if node_between_layers(case) is not None]


@pytest.mark.parametrize("case", _BETWEEN, ids=str)
def test_units_in_front_of_an_operator_are_cut_rightly_or_kept_whole_by_name(case: Case) -> None:
    model = node_between_layers(case)
    assert model is not None
    groups, whole = unit_groups(model)
    if not any(group.id == "layer" for group in groups):
        reasons = [part.reason for part in whole if "layer" in part.nodes]
        named = (
            f"{case.op_type} 'node' ",
            "'layer' has a single unit",
            "no linear node reads",
            "its units are the graph's output",  # Where they are merged with the batch.
        )
        assert all(reason.startswith(named) for reason in reasons)
        return
    cuts = [copied_units(model, group, np.random.default_rng(1)) for group in groups]
    x = torch.from_numpy(_inputs(case, 2, np.float64)["x"])
    with torch.no_grad():
        (expected,) = TorchView(model, dtype=torch.float64)(x)
        (found,) = TorchView(cut_all(model, cuts), dtype=torch.float64)(x)
    assert (found - expected).abs().max() <= 1e-10 * expected.abs().max()


def test_units_are_followed_through_every_operator_that_allows_it() -> None:
    followed = set()
    for case in CASES:
        model = node_between_layers(case)
        if model is not None and "layer" in {group.id for group in unit_groups(model)[0]}:
            followed.add(case.op_type)
    assert followed == _FOLLOWED
