from __future__ import annotations

import numpy as np

from onnxgraph.load import load_model
from onnxgraph.normalise import normalise
from onnxgraph.parity import Runner
from onnxgraph.siblings.alone import as_file, followers, seam
from onnxgraph.siblings.find import Siblings, find_siblings
from onnxgraph.siblings.seams import Place, is_entered, is_left, places_of
from tests.helpers.graph_texts import parse

BRANCHES = """
branches (float[batch, 3, 8, 8] image) => (float[batch, 2] scores)
  <float[4, 3, 3, 3] a0, float[4, 3, 3, 3] b0, float[4, 3, 3, 3] c0,
   float[5, 4, 3, 3] a1, float[5, 4, 3, 3] b1, float[6, 4, 3, 3] c1,
   float[4, 5, 3, 3] a2, float[4, 5, 3, 3] b2, float[4, 6, 3, 3] c2, float[2, 48] w>
{
  p0 = Conv <pads = [1, 1, 1, 1]> (image, a0)
  q0 = Conv <pads = [1, 1, 1, 1]> (image, b0)
  r0 = Conv <pads = [1, 1, 1, 1]> (image, c0)
  p1 = Relu (p0)
  q1 = Relu (q0)
  r1 = Relu (r0)
  p2 = Conv (p1, a1)
  q2 = Conv (q1, b1)
  r2 = Conv (r1, c1)
  p3 = Relu (p2)
  q3 = Relu (q2)
  r3 = Relu (r2)
  p4 = Conv (p3, a2)
  q4 = Conv (q3, b2)
  r4 = Conv (r3, c2)
  p5 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (p4)
  q5 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (q4)
  r5 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r4)
  p = Flatten (p5)
  q = Flatten (q5)
  r = Flatten (r5)
  all = Concat <axis = 1> (p, q, r)
  scores = Gemm <transB = 1> (all, w)
}
"""
"""Three branches, of which the first two are of one shape."""


def _found() -> tuple[list[Siblings], list[Place]]:
    model = normalise(load_model(parse(BRANCHES).SerializeToString()))
    groups = find_siblings(model)
    return groups, places_of(model.graph, groups)


def test_layers_of_the_same_branches_follow_each_other() -> None:
    groups, places = _found()
    front, middle, end = range(3)
    assert [len(one.members) for one in groups] == [3, 2, 2]
    assert [place.depth for place in places] == [0, 1, 2]
    assert places[end].before == (middle,)
    assert places[middle].behind == {end}
    # The third branch goes on by itself, and the head reads the end of both in their order.
    assert places[middle].before == (None,)
    assert places[front].behind == {middle, None}
    assert places[end].behind == frozenset()


def test_joined_layers_are_joined_and_parted_where_others_meet_them() -> None:
    groups, places = _found()
    front, middle, end = range(3)
    tail = {middle, end}
    assert is_entered(places[middle], groups[middle], tail)
    assert not is_left(middle, places, tail)
    assert not is_entered(places[end], groups[end], tail)
    assert not is_left(end, places, tail)
    assert is_entered(places[end], groups[end], {end})
    assert is_left(middle, places, {middle})
    # What is stacked reads one value: nothing is to be joined.
    assert not is_entered(places[front], groups[front], {front})
    assert is_left(front, places, {front, middle})


def test_what_follows_layers_alike_is_found_up_to_where_they_are_joined() -> None:
    groups, _ = _found()
    assert [[node.op_type for node in followers(one)] for one in groups] == [
        ["Relu"],
        ["Relu"],
        ["MaxPool", "Flatten"],
    ]


def test_a_seam_gives_back_what_it_is_given() -> None:
    runner = Runner(as_file(seam(3)))
    given = {name: np.full((2, 7), place, np.float32) for place, name in enumerate(runner.inputs)}
    found = runner.run(given)
    for one, expected in zip(found.values(), given.values(), strict=True):
        np.testing.assert_array_equal(one, expected)
