"""Tables in the width that there is."""

from __future__ import annotations

import pytest
from sliceandpack.operation.v1 import operation_events_pb2

from marketctl.progress import fitting
from marketctl.tables import Cells, fact_lines, table_lines

NAMES = [f"models/pets/fragments/f-{place:016x}" for place in range(3)]
TABLE = (
    Cells("FRAGMENT", NAMES),
    Cells("CLASSES", ["cat, dog, owl, horse, fish, goat, hen"] * 3, words=True),
    Cells("PARAMETERS", ["27,523", "1,039,603", "7"], right=True),
    Cells("MADE", ["2026-11-21 19:51:25"] * 3, spare=True),
)


def lines(width: int | None, columns: tuple[Cells, ...] = TABLE) -> list[str]:
    return [title + text for title, text in table_lines(columns, width)]


@pytest.mark.parametrize("width", [None, 200, 120, 100, 80, 60, 40])
def test_no_name_and_no_figure_is_broken_at_any_width(width: int | None) -> None:
    text = "\n".join(lines(width))
    for whole in (*NAMES, "1,039,603", "27,523"):
        assert whole in text


@pytest.mark.parametrize("width", [200, 120, 100, 80, 60])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, lines(width))) <= width


@pytest.mark.parametrize("width", [None, 120, 80, 60])
def test_no_line_ends_with_spaces(width: int | None) -> None:
    assert all(line == line.rstrip() for line in lines(width))


def test_what_is_spare_goes_before_anything_is_broken() -> None:
    wide, narrow = lines(120), lines(100)
    assert "MADE" in wide[0]
    assert "MADE" not in narrow[0]
    assert len(wide) == len(narrow) == 4


def test_words_go_into_lines_of_their_own_before_the_table_is_given_up() -> None:
    found = lines(85)
    assert found[0].split() == ["FRAGMENT", "CLASSES", "PARAMETERS"]
    assert "cat, dog, owl, horse," in found[1]
    assert found[2].split()[-1] == "hen"


def test_a_row_becomes_a_block_where_there_is_no_room_and_says_all() -> None:
    block = lines(60)[: lines(60).index("")]
    assert block == [
        f"FRAGMENT    {NAMES[0]}",
        "CLASSES     cat, dog, owl, horse, fish, goat, hen",
        "PARAMETERS  27,523",
        "MADE        2026-11-21 19:51:25",
    ]


def test_wide_characters_keep_columns_in_line() -> None:
    columns = (Cells("CLASS", ["犬", "dog"]), Cells("N", ["1", "2"]))
    assert lines(None, columns) == ["CLASS  N", "犬     1", "dog    2"]


def test_a_fact_goes_on_below_where_it_began() -> None:
    found = [title + text for title, text in fact_lines([("classes", "cat, dog, owl")], 19)]
    assert found == ["classes  cat, dog,", "         owl"]


@pytest.mark.parametrize(
    ("room", "text"),
    [
        (60, "Slicing pets: slice, dog, /stage1/block2/Conv"),
        (36, "Slicing pets: slice, dog, …ock2/Conv"),
        (26, "Slicing pets: slice, dog"),
        (12, "Slicing pet…"),
    ],
)
def test_a_layers_name_gives_way_to_the_time_that_is_left(room: int, text: str) -> None:
    step = operation_events_pb2.Progress(
        phase="slice", class_label="dog", layer="/stage1/block2/Conv"
    )
    assert fitting("Slicing pets", step, room) == text
    assert len(text) <= room
