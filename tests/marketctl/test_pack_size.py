"""The options of a pack's budget, and what a pack tells of it."""

from __future__ import annotations

import pytest
import typer
from sliceandpack.packer.v1 import packs_pb2 as pb

from marketctl.making import MakingOptions
from marketctl.pack_size import size_facts
from tests.helpers.command_line import marketctl


@pytest.mark.parametrize(
    ("options", "budget"),
    [
        (MakingOptions(), None),
        (MakingOptions(budget_params=0.25), pb.PackBudget(parameters=0.25)),
        (MakingOptions(budget_macs=0.5), pb.PackBudget(macs=0.5)),
        (MakingOptions(budget_latency_ms=3.0), pb.PackBudget(latency_ms=3.0)),
        # The packer refuses it: it knows the rules.
        (MakingOptions(budget_macs=0.0), pb.PackBudget(macs=0.0)),
    ],
)
def test_a_budget_goes_into_the_request(
    options: MakingOptions, budget: pb.PackBudget | None
) -> None:
    assert options.options() == pb.PackOptions(budget=budget)


def test_two_budgets_are_refused() -> None:
    with pytest.raises(typer.BadParameter):
        MakingOptions(budget_params=0.5, budget_macs=0.5).options()
    ended = marketctl(
        *("packs", "create", "pets/f-1", "boats/f-2", "--budget-params", "0.2"),
        *("--budget-latency-ms", "3"),
    )
    assert ended.code == 2
    assert "give one of the budgets" in ended.err


@pytest.mark.parametrize(
    ("budget", "asked"),
    [
        (pb.PackBudget(parameters=0.25), "25.0 % of the ensemble's parameters"),
        (pb.PackBudget(macs=0.125), "12.5 % of the ensemble's MACs"),
        (pb.PackBudget(latency_ms=3.0), "3 ms for one sample on one thread; it takes 2.95 ms"),
    ],
)
def test_a_pack_tells_its_budget_and_what_it_cost(budget: pb.PackBudget, asked: str) -> None:
    proof = pb.ProofSummary(
        cross_validated_accuracy_before=0.95,
        cross_validated_accuracy=0.925,
        run_time=pb.RunTime(single_seconds=0.00295),
    )
    pack = pb.Pack(options=pb.PackOptions(budget=budget), proof_summary=proof)
    facts = dict(size_facts(pack))
    assert facts["budget"] == asked
    assert facts["before it"].startswith("95.0 % cross-validated on the fragments named, 92.5 %")


def test_a_pack_of_too_few_samples_tells_no_accuracy() -> None:
    proof = pb.ProofSummary(cross_validated_accuracy_before=-1.0, cross_validated_accuracy=-1.0)
    pack = pb.Pack(options=pb.PackOptions(budget=pb.PackBudget(macs=0.5)), proof_summary=proof)
    assert dict(size_facts(pack))["before it"] == "too few samples to cross-validate"


def test_a_pack_without_a_budget_tells_nothing_of_it() -> None:
    assert not size_facts(pb.Pack(proof_summary=pb.ProofSummary()))
