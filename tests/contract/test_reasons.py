"""The reasons of the pure libraries are reasons of the contract."""

import re
from enum import StrEnum
from pathlib import Path

import pytest
from sliceandpack.error.v1 import error_reason_pb2 as pb

from onnxgraph.errors import GraphReason
from packer_svc.fusion.errors import FusionReason
from serving.errors import ServingError
from slicer_svc.errors import SubmissionReason
from slicer_svc.slicing.errors import SlicingReason
from svckit import error_docs
from svckit.reasons import reason_name, reason_of


@pytest.mark.parametrize("reasons", [GraphReason, SlicingReason, SubmissionReason, FusionReason])
def test_every_reason_of_a_domain_is_one_of_the_contract(reasons: type[StrEnum]) -> None:
    assert [reason for reason in reasons if reason_of(reason.value) is None] == []


def test_every_reason_of_serving_is_one_of_the_contract() -> None:
    kinds: list[type[ServingError]] = [ServingError, *ServingError.__subclasses__()]
    assert [kind for kind in kinds if reason_of(kind.reason) is None] == []


def test_the_page_of_errors_is_what_the_contract_gives() -> None:
    assert error_docs.PAGE.read_text() == error_docs.render(error_docs.CONTRACT.read_text())


def test_a_reason_without_an_example_is_no_reason() -> None:
    contract = error_docs.CONTRACT.read_text()
    line = next(line for line in contract.splitlines() if "Example" in line)
    with pytest.raises(ValueError, match="FIELD_INVALID needs a comment"):
        error_docs.render(contract.replace(line + "\n", ""))


def test_the_runbook_says_of_every_reason_what_to_do() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "runbook.md").read_text()
    last = page[page.index("## Every reason") :]
    told = set(re.findall(r"`([A-Z][A-Z_]+)`", last))
    reasons = {reason_name(value) for value in pb.ErrorReason.values()}
    assert reasons - told == set()
    assert told - reasons == set()
