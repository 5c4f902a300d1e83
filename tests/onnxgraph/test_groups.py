"""Unit groups are found by following units through the graph."""

import numpy as np
import onnx_ir as ir
import pytest

from onnxgraph.groups import UnitGroup, WholePart, find_group, unit_groups
from onnxgraph.surgery import Cut, cut, cut_all
from tests.helpers.text_graphs import text_graph


def _groups(model: ir.Model) -> tuple[dict[str, UnitGroup], dict[str, str]]:
    """Groups by id and reasons of whole parts by producer."""
    groups, whole = unit_groups(model)
    return {group.id: group for group in groups}, _reasons(whole)


def _reasons(whole: tuple[WholePart, ...]) -> dict[str, str]:
    return {node: part.reason for part in whole for node in part.nodes}


def test_a_chain_has_a_group_for_each_hidden_layer_and_keeps_its_output_whole() -> None:
    model = text_graph(
        "float[N, 3, 8, 8] x => float[N, 2] y",
        """
        c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
        a1 = Relu(c1)
        p1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a1)
        c2 = Conv (p1, w2)
        a2 = Relu(c2)
        f = Flatten(a2)
        y = Gemm <transB = 1> (f, w3, b3)
        """,
        w1=(4, 3, 3, 3),
        b1=(4,),
        w2=(5, 4, 3, 3),
        w3=(2, 20),
        b3=(2,),
    )
    groups, whole = _groups(model)
    assert list(groups) == ["c1", "c2"]
    first, second = groups["c1"], groups["c2"]
    assert (first.units, first.value, first.unit_axis) == (4, "p1", 1)
    assert first.passes == ("a1", "p1")
    (consumer,) = first.consumers
    assert (consumer.node, consumer.value, consumer.weight, consumer.bias) == (
        "c2",
        "p1",
        "w2",
        None,
    )
    assert consumer.offset_exact  # c2 does not pad
    (dense,) = second.consumers
    assert (dense.block, dense.units_last, dense.unit_axis) == (4, False, 1)
    assert dense.positions.tolist() == np.arange(20).reshape(5, 4).tolist()
    assert whole == {"y": "its units are the graph's output 'y'"}


def test_a_flatten_of_channels_last_interleaves_the_places_of_units() -> None:
    model = text_graph(
        "float[N, 3, 4, 4] x => float[N, 2] y",
        """
        c = Conv (x, w)
        t = Transpose <perm = [0, 2, 3, 1]> (c)
        f = Reshape (t, target)
        y = MatMul (f, v)
        """,
        w=(5, 3, 3, 3),
        target=np.array([-1, 20]),
        v=(20, 2),
    )
    (consumer,) = _groups(model)[0]["c"].consumers
    assert consumer.units_last
    assert consumer.positions.tolist() == np.arange(20).reshape(4, 5).T.tolist()


def test_joined_branches_keep_their_places_in_front_of_the_consumer() -> None:
    model = text_graph(
        "float[N, 3] x => float[N, 2] y",
        """
        a = MatMul (x, wa)
        b = MatMul (x, wb)
        j = Concat <axis = 1> (a, x, b)
        y = MatMul (j, v)
        """,
        wa=(3, 4),
        wb=(3, 5),
        v=(12, 2),
    )
    groups, _ = _groups(model)
    assert groups["a"].consumers[0].positions.ravel().tolist() == [0, 1, 2, 3]
    assert groups["b"].consumers[0].positions.ravel().tolist() == [7, 8, 9, 10, 11]
    smaller = cut(model, groups["a"], Cut(np.array([1])))
    moved = find_group(smaller, "b").consumers[0]
    assert moved.positions.ravel().tolist() == [4, 5, 6, 7, 8]


def test_a_residual_add_couples_the_width_and_leaves_inner_units_free() -> None:
    model = text_graph(
        "float[N, 3, 6, 6] x => float[N, 2] y",
        """
        s = Conv <pads = [1, 1, 1, 1]> (x, ws)
        i = Conv <pads = [1, 1, 1, 1]> (s, wi)
        r = Relu(i)
        o = Conv <pads = [1, 1, 1, 1]> (r, wo)
        t = Add (o, s)
        g = GlobalAveragePool (t)
        f = Flatten (g)
        y = MatMul (f, v)
        """,
        ws=(4, 3, 3, 3),
        wi=(7, 4, 3, 3),
        wo=(4, 7, 3, 3),
        v=(4, 2),
    )
    groups, _ = _groups(model)
    assert groups["i"].units == 7
    assert not groups["i"].coupled
    stream = groups["s"]
    assert stream.coupled
    assert stream.producers == ("s", "o")
    assert [consumer.node for consumer in stream.consumers] == ["i", "y"]
    assert stream.value == "t"


def test_a_squeeze_excite_gate_is_coupled_with_what_it_scales() -> None:
    model = text_graph(
        "float[N, 3, 6, 6] x => float[N, 2] y",
        """
        c = Conv (x, w)
        p = ReduceMean <axes = [2, 3], keepdims = 1> (c)
        q = Conv (p, wq)
        h = HardSigmoid (q)
        u = Conv (h, wu)
        g = Sigmoid (u)
        m = Mul (g, c)
        f = ReduceMean <axes = [2, 3], keepdims = 0> (m)
        y = MatMul (f, v)
        """,
        w=(4, 3, 3, 3),
        wq=(2, 4, 1, 1),
        wu=(4, 2, 1, 1),
        v=(4, 2),
    )
    groups, _ = _groups(model)
    assert groups["c"].producers == ("c", "u")
    assert [consumer.node for consumer in groups["c"].consumers] == ["q", "y"]
    assert groups["q"].units == 2


def test_a_depthwise_convolution_passes_units_and_a_grouped_one_ties_whole_groups() -> None:
    model = text_graph(
        "float[N, 3, 6, 6] x => float[N, 2] y",
        """
        a = Conv (x, wa)
        d = Conv <group = 4> (a, wd, bd)
        b = Conv (d, wb)
        g = Conv <group = 2> (b, wg)
        p = GlobalAveragePool (g)
        f = Flatten (p)
        y = MatMul (f, v)
        """,
        wa=(4, 3, 1, 1),
        wd=(8, 1, 3, 3),
        bd=(8,),
        wb=(4, 8, 1, 1),
        wg=(6, 2, 3, 3),
        v=(6, 2),
    )
    groups, whole = _groups(model)
    assert groups["a"].passes == ("d",)
    assert groups["a"].consumers[0].block == 2
    assert (groups["b"].units, groups["b"].producers) == (2, ("b", "g"))
    (consumer,) = groups["b"].consumers
    assert consumer.positions.tolist() == [[0, 1, 2], [3, 4, 5]]
    smaller = cut(model, groups["b"], Cut(np.array([1])))
    kernels = [v.shape for name, v in smaller.graph.initializers.items() if name in ("wb", "wg")]
    assert [list(shape or ()) for shape in kernels] == [[2, 8, 1, 1], [3, 2, 3, 3]]
    assert set(whole) == {"y"}


_WHOLE = {
    "Softmax 's' normalises over units": "s = Softmax <axis = 1> (h)",
    "ReduceMean 's' reduces over units": "s = ReduceMean <axes = [1], keepdims = 1> (h)",
    "ReduceMean 'm' normalises over units": """
        m = ReduceMean <axes = [1], keepdims = 1> (h)
        e = Add (m, tiny)
        s = Div (h, e)""",
    "ReduceMean 'mean' normalises over units": """
        mean = ReduceMean <axes = [1], keepdims = 1> (h)
        s = Sub (h, mean)""",
    "Reshape 's' mixes units with other axes": "u = Transpose (h)\ns = Reshape (u, flat)",
    "Concat 's' joins parts of unknown size": "s = Concat <axis = 0> (h, row)",
    "MatMul 's' contracts units of two computed values": "s = MatMul (h, t)",
    "Add 's' joins units with values that are not cut with them": "s = Add (h, x)",
    "Pad 's' crops or repeats units": 's = Pad <mode = "edge"> (h, pads)',
    "Slice 's' takes units in steps": "s = Slice (h, one, two, one, two)",
    "Gather 's' gathers single units": "s = Gather <axis = 1> (h, three)",
    "Shape 'z' reads the size of a unit axis": "z = Shape (h)\ns = Cast <to = 1> (z)",
}


@pytest.mark.parametrize("reason", _WHOLE)
def test_what_mixes_units_keeps_them_whole_and_is_named(reason: str) -> None:
    model = text_graph(
        "float[N, 6] x => float y",
        f"""
        h = MatMul (x, w)
        t = Transpose (x)
        {_WHOLE[reason]}
        y = ReduceMean <keepdims = 0> (s)
        """,
        w=(6, 6),
        flat=np.array([-1]),
        row=(1, 6),
        pads=np.array([0, 1, 0, 1]),
        one=np.array([1]),
        two=np.array([3]),
        three=np.array(3),
        tiny=(1,),
    )
    assert _groups(model)[1]["h"].startswith(reason)


def test_units_pass_a_cast() -> None:
    model = text_graph(
        "float[N, 3] x => double[N, 2] y",
        "h = MatMul (x, w)\nc = Cast <to = 11> (h)\ny = MatMul (c, v)",
        w=(3, 4),
        v=np.ones((4, 2)),
    )
    assert _groups(model)[0]["h"].passes == ("c",)


def test_units_that_no_linear_node_reads_are_whole() -> None:
    model = text_graph(
        "float[N, 3] x => float[N, 3] y", "h = MatMul (x, w)\ny = Identity (x)", w=(3, 4)
    )
    assert _groups(model)[1] == {"h": "no linear node reads the units of 'h'"}


def test_a_single_unit_is_whole() -> None:
    model = text_graph(
        "float[N, 3] x => float[N, 2] y", "h = MatMul (x, w)\ny = MatMul (h, v)", w=(3, 1), v=(1, 2)
    )
    assert _groups(model)[1]["h"] == "'h' has a single unit"


def test_groups_that_are_all_tied_by_a_shuffle_are_whole() -> None:
    model = text_graph(
        "float[N, 3, 4, 4] x => float[N, 2] y",
        """
        a = Conv (x, wa)
        g = Conv <group = 2> (a, wg)
        s = Gather <axis = 1> (g, order)
        h = Conv <group = 2> (s, wg)
        f = Flatten (h)
        y = MatMul (f, v)
        """,
        wa=(4, 3, 1, 1),
        wg=(4, 2, 1, 1),
        order=np.array([0, 2, 1, 3]),
        v=(64, 2),
    )
    groups, whole = _groups(model)
    assert not groups
    assert whole["a"] == "'a' can only lose all of these units at once"


def test_units_that_are_coupled_with_parts_of_another_layer_are_cut_in_parts() -> None:
    model = text_graph(
        "float[N, 3] x => float[N, 2] y",
        """
        a = MatMul (x, wa)
        b = MatMul (x, wb)
        j = Concat <axis = 1> (a, b)
        c = MatMul (x, wc)
        s = Add (j, c)
        y = MatMul (s, v)
        """,
        wa=(3, 4),
        wb=(3, 5),
        wc=(3, 9),
        v=(9, 2),
    )
    groups, whole = _groups(model)
    assert {name: (group.units, group.producers) for name, group in groups.items()} == {
        "a": (4, ("a", "c")),
        "b": (5, ("b", "c")),
    }
    assert set(whole) == {"y"}


def test_parts_of_a_layer_that_are_read_apart_are_groups_of_their_own() -> None:
    model = text_graph(
        "float[N, 3] x => float[N, 2] y",
        """
        h = MatMul (x, w)
        f = Slice (h, zero, four, one)
        r = Slice (h, four, end, one)
        t = MatMul (f, u)
        s = Gather <axis = 1> (r, order)
        j = Concat <axis = 1> (t, s)
        y = MatMul (j, v)
        """,
        w=(3, 9),
        zero=np.array([0]),
        four=np.array([-5]),
        end=np.array([2**31]),
        one=np.array([1]),
        u=(4, 6),
        order=np.array([4, 0, 3, 0]),
        v=(10, 2),
    )
    groups, whole = _groups(model)
    assert {name: group.units for name, group in groups.items()} == {"h": 4, "h#2": 2, "t": 6}
    assert whole["h"] == "'h' has a single unit"  # the one that Gather takes twice
    cuts = [(groups["h"], Cut(np.array([1, 3]))), (groups["h#2"], Cut(np.array([1])))]
    smaller = cut_all(model, cuts)
    assert find_group(smaller, "h").units == 2
    constants = {name: v.const_value for name, v in smaller.graph.initializers.items()}
    numbers = {name: c.numpy().tolist() for name, c in constants.items() if c is not None}
    assert (numbers["zero"], numbers["four_of_f"]) == ([0], [2])
    assert (numbers["four"], numbers["end"]) == ([2], [6])
    assert numbers["order"] == [3, 0, 0]


def test_token_mixing_leaves_the_channels_of_an_mlp_mixer_apart() -> None:
    model = text_graph(
        "float[N, 4, 6] x => float[N, 2] y",
        """
        e = MatMul (x, we)
        t = Transpose <perm = [0, 2, 1]> (e)
        h = MatMul (t, wh)
        r = Relu (h)
        o = MatMul (r, wo)
        u = Transpose <perm = [0, 2, 1]> (o)
        m = ReduceMean <axes = [1], keepdims = 0> (u)
        y = MatMul (m, v)
        """,
        we=(6, 5),
        wh=(4, 7),
        wo=(7, 4),
        v=(5, 2),
    )
    groups, whole = _groups(model)
    assert [consumer.node for consumer in groups["e"].consumers] == ["y"]
    assert [consumer.node for consumer in groups["h"].consumers] == ["o"]
    assert whole["o"] == "ReduceMean 'm' reduces over units"
