"""Normal form of recurrent layers: one direction a node, no zero states, the same numbers."""

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from onnxgraph.errors import GraphError, GraphReason
from onnxgraph.groups import unit_groups
from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.passes.drop_zero_states import DropZeroStates
from onnxgraph.passes.part_directions import PartDirections
from onnxgraph.passes.roll_steps import RollSteps
from tests.helpers.text_graphs import text_graph

_STEPS, _WIDTH, _HIDDEN = 5, 3, 4
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _graph(
    body: str, op_type: str = "LSTM", directions: int = 2, opset: int = 17, **constants: Any
) -> ir.Model:
    """A graph over `steps (5, N, 3)` with the weights `w`, `r`, `b` and a classifier `head`."""
    rows = _GATES[op_type] * _HIDDEN
    return text_graph(
        f"float[batch, {_STEPS}, {_WIDTH}] x => float[batch, 2] scores",
        f"steps = Transpose <perm = [1, 0, 2]> (x)\n{body}",
        opset=opset,
        w=(directions, rows, _WIDTH),
        r=(directions, rows, _HIDDEN),
        b=(directions, 2 * rows),
        **constants,
    )


def _normal(model: ir.Model) -> ir.Model:
    """The normal form: `normalise` compares its numbers with the original's at three batches."""
    return normalise(load_model(ir.to_proto(model).SerializeToString()))


_WAYS = {
    "states joined": """
        y = LSTM <hidden_size = 4, direction = "bidirectional"> (steps, w, r, b)
        turned = Transpose <perm = [0, 2, 1, 3]> (y)
        joined = Reshape (turned, shape)
        first = Gather <axis = 0> (joined, zero)
        scores = MatMul (first, head)""",
    "last states taken one by one": """
        y, h = LSTM <hidden_size = 4, direction = "bidirectional"> (steps, w, r, b)
        one = Gather <axis = 0> (h, end)
        two = Gather <axis = 0> (h, first_)
        both = Concat <axis = 1> (one, two)
        scores = MatMul (both, head)""",
    "last states turned and flattened": """
        y, h = LSTM <hidden_size = 4, direction = "bidirectional"> (steps, w, r, b)
        turned = Transpose <perm = [1, 0, 2]> (h)
        both = Flatten (turned)
        scores = MatMul (both, head)""",
    "last states sliced": """
        y, h = LSTM <hidden_size = 4, direction = "bidirectional"> (steps, w, r, b)
        two = Slice (h, begin, two_, begin)
        turned = Transpose <perm = [1, 0, 2]> (two)
        both = Flatten (turned)
        scores = MatMul (both, head)""",
    "cells": """
        y, h, c = LSTM <hidden_size = 4, direction = "bidirectional"> (steps, w, r, b)
        last = Concat <axis = 0> (h, c)
        one = Gather <axis = 0> (last, zero)
        two = Gather <axis = 0> (last, first_)
        four = Gather <axis = 0> (last, end)
        sum = Add (one, four)
        both = Concat <axis = 1> (two, sum)
        scores = MatMul (both, head)""",
}


@pytest.mark.parametrize("body", _WAYS.values(), ids=_WAYS.keys())
def test_the_units_of_each_direction_are_a_group_of_their_own(body: str) -> None:
    model = _graph(
        body,
        shape=np.array([_STEPS, -1, 2 * _HIDDEN]),
        zero=np.array(0),
        first_=np.array(1),
        end=np.array(-2),
        begin=np.array([0]),
        two_=np.array([2]),
        head=(2 * _HIDDEN, 2),
    )
    normal = _normal(model)
    assert [node.op_type for node in normal.graph].count("LSTM") == 2
    groups, whole = unit_groups(normal)
    assert [group.units for group in groups] == [_HIDDEN, _HIDDEN]
    assert [part.reason for part in whole] == ["its units are the graph's output 'scores'"]


def test_directions_that_stay_on_top_of_each_other_are_cut_together() -> None:
    model = _graph(
        """
        y = LSTM <hidden_size = 4, direction = "bidirectional"> (steps, w, r, b)
        mean = ReduceMean <axes = [0, 1], keepdims = 0> (y)
        scores = MatMul (mean, head)""",
        head=(_HIDDEN, 2),
    )
    (group,) = unit_groups(_normal(model))[0]
    assert len(group.producers) == len(group.recurrences) == 2


_ZEROS = {
    "made at run time and sliced": """
        sizes = Shape <start = 1, end = 2> (steps)
        shape = Concat <axis = 0> (two, sizes, four)
        zeros = ConstantOfShape (shape)
        z = Slice (zeros, nought, one, nought)""",
    "expanded": """
        sizes = Shape <start = 1, end = 2> (steps)
        shape = Concat <axis = 0> (one, sizes, four)
        z = Expand (nothing, shape)""",
}


@pytest.mark.parametrize("zeros", _ZEROS.values(), ids=_ZEROS.keys())
def test_zero_states_are_left_out(zeros: str) -> None:
    model = _graph(
        f"""{zeros}
        y, h = LSTM <hidden_size = 4> (steps, w, r, b, , z, z)
        last = Squeeze (h, nought)
        scores = MatMul (last, head)""",
        directions=1,
        nought=np.array([0]),
        one=np.array([1]),
        two=np.array([2]),
        four=np.array([_HIDDEN]),
        nothing=np.zeros(1, np.float32),
        head=(_HIDDEN, 2),
    )
    normal = _normal(model)
    assert [node.op_type for node in normal.graph] == [
        "Transpose",
        "LSTM",
        "Gather",
        "Squeeze",
        "MatMul",
    ]
    assert [group.units for group in unit_groups(normal)[0]] == [_HIDDEN]


def test_a_state_that_the_graph_computes_stays_and_its_units_with_it() -> None:
    model = _graph(
        """
        start = ReduceMean <axes = [1], keepdims = 0> (x)
        inner = MatMul (start, into)
        z = Unsqueeze (inner, nought)
        y, h = RNN <hidden_size = 4> (steps, w, r, b, , z)
        last = Squeeze (h, nought)
        scores = MatMul (last, head)""",
        "RNN",
        directions=1,
        nought=np.array([0]),
        into=(_WIDTH, _HIDDEN),
        head=(_HIDDEN, 2),
    )
    (group,) = unit_groups(_normal(model))[0]
    assert group.producers == ("inner", "y")


def test_a_gru_that_resets_before_the_matrix_stays_whole_with_the_reason() -> None:
    model = _graph(
        """
        y, h = GRU <hidden_size = 4, linear_before_reset = 0> (steps, w, r, b)
        last = Squeeze (h, nought)
        scores = MatMul (last, head)""",
        "GRU",
        directions=1,
        nought=np.array([0]),
        head=(_HIDDEN, 2),
    )
    groups, whole = unit_groups(_normal(model))
    assert not groups
    assert "linear_before_reset=0" in whole[0].reason
    assert whole[0].reason.startswith("GRU 'y' ")


@pytest.mark.parametrize("opset", [9, 12, 14, 20, 22])
def test_recurrent_layers_of_every_opset_come_to_normal_form(opset: int) -> None:
    model = _graph(
        """
        y, h = GRU <hidden_size = 4, linear_before_reset = 1> (steps, w, r, b)
        last = Gather <axis = 0> (h, zero)
        scores = MatMul (last, head)""",
        "GRU",
        directions=1,
        opset=opset,
        zero=np.array(0),
        head=(_HIDDEN, 2),
    )
    assert [group.units for group in unit_groups(_normal(model))[0]] == [_HIDDEN]


_REFUSED = {
    "clip = 3.0": "clips its gates",
    'activations = ["Relu", "Tanh", "Tanh"]': "activations Relu, Tanh, Tanh",
    "layout = 1": "layout 1",
}


@pytest.mark.parametrize(("setting", "named"), _REFUSED.items(), ids=_REFUSED.values())
def test_a_setting_that_is_not_supported_is_refused_by_name(setting: str, named: str) -> None:
    model = _graph(
        f"""
        y = LSTM <hidden_size = 4, {setting}> (steps, w, r, b)
        flat = ReduceMean <axes = [0, 1], keepdims = 0> (y)
        scores = MatMul (flat, head)""",
        directions=1,
        head=(_HIDDEN, 2),
    )
    with pytest.raises(GraphError, match=named) as refused:
        _normal(model)
    assert refused.value.reason is GraphReason.GRAPH_OPERATOR_UNSUPPORTED
    assert refused.value.node == "y"
    assert "one length" in refused.value.advice


def test_lengths_that_come_with_the_data_are_refused_and_full_ones_are_left_out() -> None:
    body = """
        counts = {source}
        lengths = Cast <to = 6> (counts)
        y, h = LSTM <hidden_size = 4> (steps, w, r, b, lengths)
        last = Squeeze (h, nought)
        scores = MatMul (last, head)"""
    given: dict[str, Any] = {"directions": 1, "nought": np.array([0]), "head": (_HIDDEN, 2)}
    data = "ReduceSum <keepdims = 0> (x, tail)"
    model = _graph(body.format(source=data), **given, tail=np.array([1, 2]))
    with pytest.raises(GraphError, match="different lengths"):
        _normal(model)
    full = """Expand (five, sizes)
        """
    model = _graph(
        "sizes = Shape <start = 1, end = 2> (steps)" + body.format(source=full),
        **given,
        five=np.array([_STEPS]),
    )
    assert "Expand" not in [node.op_type for node in _normal(model).graph]


def _written_out(steps: list[str], activation: str, *, biased: bool) -> str:
    """A plain recurrent layer, one MatMul a step, as torch's dynamo exporter writes nn.RNN."""
    lines = [
        "projected = MatMul (steps, into)",
        "sizes = Shape <start = 1, end = 2> (steps)",
        "shape = Concat <axis = 0> (one, sizes, four)",
        "state = Expand (nothing, shape)",
    ]
    state = "state"
    for place, begin in enumerate(steps):
        lines += [
            f"part{place} = Slice (projected, {begin}, end_{begin}, nought)",
            f"x{place} = Squeeze (part{place}, nought)",
            f"product{place} = MatMul ({state}, again)",
            f"told{place} = Add (product{place}, shift)" if biased else "",
            f"sum{place} = Add ({'told' if biased else 'product'}{place}, x{place})",
            f"state{place} = {activation} (sum{place})",
        ]
        state = f"state{place}"
    return "\n".join([*lines, f"last = Squeeze ({state}, nought)", "scores = MatMul (last, head)"])


def _steps_apart(steps: list[str], activation: str = "Tanh", *, biased: bool = True) -> ir.Model:
    places: dict[str, Any] = {f"s{place}": np.array([place]) for place in range(_STEPS)}
    ends: dict[str, Any] = {f"end_s{place}": np.array([place + 1]) for place in range(_STEPS)}
    return _graph(
        _written_out(steps, activation, biased=biased),
        "RNN",
        directions=1,
        nought=np.array([0]),
        one=np.array([1]),
        four=np.array([_HIDDEN]),
        nothing=np.zeros(1, np.float32),
        into=(_WIDTH, _HIDDEN),
        again=(_HIDDEN, _HIDDEN),
        shift=(_HIDDEN,),
        head=(_HIDDEN, 2),
        **places,
        **ends,
    )


@pytest.mark.parametrize(("activation", "biased"), [("Tanh", True), ("Relu", False)])
def test_a_layer_written_step_by_step_is_rolled_up(activation: str, biased: bool) -> None:
    steps = [f"s{place}" for place in range(_STEPS)]
    normal = _normal(_steps_apart(steps, activation, biased=biased))
    operators = [node.op_type for node in normal.graph]
    assert operators.count("RNN") == 1
    assert activation not in operators
    (group,) = unit_groups(normal)[0]
    assert group.units == _HIDDEN
    assert len(group.recurrences) == 1


def test_steps_in_another_order_stay_as_they_are() -> None:
    normal = _normal(_steps_apart(["s1", "s0", "s2", "s3", "s4"]))
    assert "RNN" not in [node.op_type for node in normal.graph]


def test_the_passes_say_whether_they_changed_anything() -> None:
    model = _graph(
        """
        y = RNN <hidden_size = 4> (steps, w, r, b)
        flat = ReduceMean <axes = [0, 1], keepdims = 0> (y)
        scores = MatMul (flat, head)""",
        "RNN",
        directions=1,
        head=(_HIDDEN, 2),
    )
    assert not DropZeroStates()(model).modified
    assert not PartDirections()(model).modified
    assert not RollSteps()(model).modified
