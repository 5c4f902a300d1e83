"""What `packs clone` makes of its arguments, without a service."""

from __future__ import annotations

import pytest
import typer

from marketctl.clones import cloned
from tests.helpers.command_line import marketctl

NOWHERE = ("--slicer", "127.0.0.1:1", "--packer", "127.0.0.1:1")


def test_a_class_may_be_given_another_name() -> None:
    one, other = cloned(["ship", "boat=ship of its own"])
    assert (one.label, one.pack_label) == ("ship", "")
    assert (other.label, other.pack_label) == ("boat", "ship of its own")


@pytest.mark.parametrize("text", ["", "=ship", "ship="])
def test_what_names_no_class_to_clone_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="LABEL"):
        cloned([text])


@pytest.mark.parametrize(
    "wrong",
    [
        ("clone", "pets", "boats", "--class", "ship", "--budget-macs", "0"),
        ("clone", "pets", "boats", "--class", "ship", "--budget-macs", "nan"),
        ("reassemble", "pets/cat", "boats/ship", "--blocks", "0"),
        ("reassemble", "pets/cat", "boats/ship", "--training-steps", "-1"),
    ],
)
def test_nothing_given_on_purpose_is_never_taken_for_left_out(wrong: tuple[str, ...]) -> None:
    # Were it sent, it would end with 6: nobody is there.
    assert marketctl(*NOWHERE, "packs", *wrong).code == 2
