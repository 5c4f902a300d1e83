"""What `packs reassemble` makes of its arguments, and shows of a pack."""

import pytest
import typer
from sliceandpack.packer.v1 import packs_pb2, reassembly_pb2

from marketctl.network_shown import network_facts
from marketctl.reassembly import SizeOptions, wanted


@pytest.mark.parametrize("text", ["pets/cat", "models/pets/cat"])
def test_a_class_is_named_by_its_model_and_label(text: str) -> None:
    assert wanted(text) == reassembly_pb2.WantedClass(model="models/pets", label="cat")


def test_a_class_may_be_given_another_label_and_have_a_slash_in_its_own() -> None:
    found = wanted("pets/cat/tabby=tomcat")
    assert (found.label, found.output) == ("cat/tabby", "tomcat")


@pytest.mark.parametrize("text", ["pets", "pets/", "/cat", "pets/cat="])
def test_what_names_no_class_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="MODEL/CLASS"):
        wanted(text)


def test_a_budget_holds_what_was_given_and_nothing_else() -> None:
    assert SizeOptions().budget() is None
    found = SizeOptions(budget_params=0.2, budget_latency_ms=3.0).budget()
    assert found == reassembly_pb2.ReassemblyBudget(parameters=0.2, latency_ms=3.0)


def test_a_pack_tells_how_its_network_was_chosen_and_whether_that_is_proven() -> None:
    assert network_facts(packs_pb2.Pack()) == []
    told = reassembly_pb2.Reassembly(
        blocks=[reassembly_pb2.ReassembledBlock()], models=12, score=1.5, judged=6, kept=2
    )
    facts = dict(network_facts(packs_pb2.Pack(reassembly=told)))
    assert facts["network"] == "choice 2 of the best 6, from 12 models"
    assert facts["score"].endswith("proven")
    told.gap = 0.02
    assert "2.0 %" in dict(network_facts(packs_pb2.Pack(reassembly=told)))["score"]


def test_a_pack_tells_which_models_were_left_out_and_why() -> None:
    told = reassembly_pb2.Reassembly(blocks=[reassembly_pb2.ReassembledBlock()])
    assert "left out" not in dict(network_facts(packs_pb2.Pack(reassembly=told)))
    for number in range(7):
        told.left_out.add(model=f"models/m{number}", reason="MODEL_UNCUTTABLE")
    told.left_out_count = 9
    found = dict(network_facts(packs_pb2.Pack(reassembly=told)))["left out"]
    assert found.startswith("models/m0: MODEL_UNCUTTABLE, ")
    assert found.endswith(", and 4 more")
