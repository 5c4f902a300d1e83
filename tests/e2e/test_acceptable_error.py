"""A market that sets an acceptable error, from the command line to the live Triton."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc

from tests.helpers.command_line import Ended, marketctl
from tests.helpers.digit_models import NAMES, unseen_digits
from tests.helpers.stocked import Stocked

DIGITS = (2, 8)
LABELS = tuple(NAMES[digit] for digit in DIGITS)


@pytest.fixture(scope="module")
def strict(stocked: Stocked) -> Iterator[Stocked]:
    """The market with an acceptable error of 10 %, where "before" was deployed without."""
    packer = stocked.market.packer
    stocked.packer.deploy("before", stocked.pack("before-a", *LABELS))
    options = packer.options
    packer.stop()
    packer.options = [*options, "--acceptable-error", "0.1"]
    packer.start()
    yield stocked
    packer.stop()
    packer.options = options
    packer.start()


def asked(stocked: Stocked, *arguments: str) -> Ended:
    return marketctl(*addresses_of(stocked), "-o", "json", *arguments)


def addresses_of(stocked: Stocked) -> tuple[str, ...]:
    market = stocked.market
    return ("--slicer", market.slicer.address, "--packer", market.packer.address)


def samples_file(path: Path, digits: Sequence[int], count: int | None = None) -> str:
    unseen = unseen_digits(digits)
    chosen = np.random.default_rng(0).permutation(len(unseen.labels))[:count]
    labels = np.array([NAMES[digits[place]] for place in unseen.labels[chosen]])
    np.savez(path, image=unseen.images[chosen], labels=labels)
    return str(path)


def test_a_pack_is_deployed_once_enough_unseen_samples_show_that_it_is_good(
    strict: Stocked, tmp_path: Path
) -> None:
    fragments = [strict.fragments[label] for label in LABELS]
    few = samples_file(tmp_path / "few.npz", DIGITS, 12)
    many = samples_file(tmp_path / "many.npz", DIGITS)
    made = {
        name: asked(strict, "packs", "create", *fragments, "--id", f"gate-{name}", *options)
        for name, options in {
            "few": ("--evaluation-samples", few),
            "many": ("--evaluation-samples", many),
            "anew": ("--evaluation", "sliced-anew"),
        }.items()
    }
    for ended in made.values():
        assert ended.code == 0, ended.err
    told = {name: ended.data["proof_summary"]["evaluation"] for name, ended in made.items()}
    refused = asked(strict, "deployments", "create", "gate-d", "--pack", "gate-few")
    shown = asked(strict, "packs", "show", "gate-few").data["acceptance"]
    deployed = asked(strict, "deployments", "create", "gate-d", "--pack", "gate-many")

    assert "Sending few.npz" in made["few"].err
    assert told["anew"]["kind"] == "EVALUATION_KIND_SLICED_ANEW"
    assert told["anew"]["samples"] == 40
    assert told["few"]["error_upper_bound"] > 0.1 >= told["many"]["error_upper_bound"]
    # FAILED_PRECONDITION.
    assert refused.code == 5
    error = json.loads(refused.err.strip().splitlines()[-1])["error"]
    assert error["reason"] == "PACK_NOT_ACCEPTABLE"
    assert error["metadata"]["kind"] == "evaluation_samples"
    assert shown == {"acceptable_error": 0.1, "accepted": False}
    assert deployed.code == 0, deployed.err
    with triton_grpc.InferenceServerClient(strict.market.triton_grpc) as client:
        assert client.is_model_ready("gate-d")
        # What served before the limit was set is above it, and goes on.
        assert client.is_model_ready("before")


def test_a_person_is_told_what_the_error_is_and_whether_it_is_accepted(strict: Stocked) -> None:
    shown = marketctl(*addresses_of(strict), "packs", "show", "before-a").out
    assert "with 95 % confidence" in shown
    assert "optimistic" in shown
    assert "the market accepts 10.0 % at most" in shown


def test_one_way_of_judging_is_enough(strict: Stocked, tmp_path: Path) -> None:
    file = samples_file(tmp_path / "some.npz", DIGITS)
    fragments = [strict.fragments[label] for label in LABELS]
    both = ("--evaluation", "head-alone", "--evaluation-samples", file)
    ended = asked(strict, "packs", "create", *fragments, *both)
    assert ended.code == 2
    assert "--evaluation" in ended.err
