"""Inputs that belong to no class of a pack, from the command line to a real Triton and back."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton

from packer_svc.fusion.roc import roc
from tests.helpers.command_line import Ended, marketctl
from tests.helpers.digit_models import unseen_digits
from tests.helpers.errors import reason_of
from tests.helpers.stocked import Stocked

TARGET = ("zero", "three", "six")
TRITON_BATCH = 60


def at(stocked: Stocked, *arguments: object) -> Ended:
    """Runs a command against the market."""
    market = stocked.market
    addresses = ("--slicer", market.slicer.address, "--packer", market.packer.address)
    ended = marketctl(*addresses, "--triton", market.triton_grpc, "-o", "json", *arguments)
    assert ended.code == 0, ended.err
    return ended


@pytest.fixture(scope="module")
def served(stocked: Stocked) -> str:
    """A deployment whose pack has the second output."""
    fragments = [stocked.fragments[label] for label in TARGET]
    asked = ("packs", "create", *fragments, "--none-of-these", "--id", "wary")
    made = at(stocked, *asked).data
    assert 0 < made["proof_summary"]["none_of_these_auc"] <= 1
    stocked.packer.deploy("wary", "packs/wary")
    return "wary"


def scores(stocked: Stocked, name: str, digits: tuple[int, ...]) -> np.ndarray:
    """What Triton's own client gets for unseen digits, `(n,)`."""
    images = unseen_digits(digits).images
    found = []
    with triton.InferenceServerClient(stocked.market.triton_grpc) as client:
        for start in range(0, len(images), TRITON_BATCH):
            part = images[start : start + TRITON_BATCH]
            image = triton.InferInput("image", list(part.shape), "FP32")
            image.set_data_from_numpy(part)
            answer = client.infer(name, [image])
            assert answer.as_numpy("probabilities").shape == (len(part), 3)
            found.append(answer.as_numpy("none_of_these")[:, 0])
    return np.concatenate(found)


def test_triton_tells_strangers_from_the_packs_classes(stocked: Stocked, served: str) -> None:
    inside = scores(stocked, served, (0, 3, 6))
    known, unknown = scores(stocked, served, (1, 2, 4, 5, 7, 8)), scores(stocked, served, (9,))

    assert roc(inside, known).auc > 0.9
    assert roc(inside, unknown).auc > 0.7
    assert inside.dtype == np.float32


def test_the_command_line_shows_the_score(stocked: Stocked, served: str, tmp_path: Path) -> None:
    path = tmp_path / "digits.npz"
    np.savez(path, image=unseen_digits((0, 9)).images[:40])
    told = at(stocked, "predict", served, path).data
    wanted = scores(stocked, served, (0, 9))[:40]
    np.testing.assert_allclose([one["none_of_these"] for one in told], wanted, atol=1e-5)

    market = stocked.market
    addresses = ("--packer", market.packer.address, "--triton", market.triton_grpc)
    table = marketctl(*addresses, "predict", served, path)
    assert "NONE OF THESE" in table.out.splitlines()[0]
    shown = marketctl(*addresses, "packs", "show", "wary")
    assert "none of these" in shown.out


def test_a_pack_without_the_score_is_shown_without_it(stocked: Stocked, tmp_path: Path) -> None:
    stocked.packer.deploy("heedless", stocked.pack("heedless", *TARGET))
    path = tmp_path / "digits.npz"
    np.savez(path, image=unseen_digits((0,)).images[:2])
    assert set(at(stocked, "predict", "heedless", path).data[0]) == {"source", "predictions"}


def test_a_switch_that_takes_or_gives_the_score_is_refused_unless_allowed(
    stocked: Stocked, served: str
) -> None:
    other = stocked.pack("careless", *TARGET)
    with pytest.raises(grpc.RpcError) as refused:
        stocked.packer.deployments.UpdateDeployment(stocked.packer.switch_request(served, other))
    assert reason_of(refused.value) == "SIGNATURE_CHANGED"

    assert stocked.packer.switch(served, other, allow=True).pack == other
    with triton.InferenceServerClient(stocked.market.triton_grpc) as client:
        outputs = client.get_model_metadata(served).outputs
    assert [output.name for output in outputs] == ["probabilities"]
    stocked.packer.switch(served, "packs/wary", allow=True)
    assert scores(stocked, served, (9,)).shape[0] > 0
