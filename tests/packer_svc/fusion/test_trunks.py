"""Fragments of one graph are one branch."""

from packer_svc.fusion.trunks import trunks_of


def test_equal_graphs_are_one_branch_in_the_order_of_their_first() -> None:
    found = trunks_of([b"a", b"b", b"a", b"c", b"b"])
    assert [(one.graph, one.places) for one in found] == [
        (b"a", (0, 2)),
        (b"b", (1, 4)),
        (b"c", (3,)),
    ]


def test_a_branch_serves_every_output_of_its_fragments_once() -> None:
    shared, other = trunks_of([b"a", b"a", b"b", b"a"])
    outputs = [1, 0, 2, 1]
    assert shared.serves(outputs) == [1, 0]
    assert other.serves(outputs) == [2]
