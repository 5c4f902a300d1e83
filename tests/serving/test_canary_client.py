"""The client that shares its requests between a deployment and its canary, over a real Triton."""

from __future__ import annotations

import numpy as np
import pytest

from serving.canary import CanaryClient, Sharing, is_chosen
from serving.client import TritonClient
from serving.errors import InvalidInferenceError, ModelNotServedError
from serving.repository import ModelRepository
from tests.helpers.triton import add_classifier, answers, samples


async def serve(client: TritonClient, repository: ModelRepository, name: str, seed: int) -> None:
    add_classifier(repository, name, 1, seed)
    repository.activate(name, [1])
    await client.load(name)


@pytest.fixture
async def both(client: TritonClient, repository: ModelRepository, name: str) -> str:
    """A deployment of the classifier of seed 1, with that of seed 2 as its canary."""
    await serve(client, repository, name, 1)
    await serve(client, repository, f"{name}--canary", 2)
    return name


def test_a_key_is_always_sent_the_same_way_and_stays_with_the_canary_as_the_share_grows() -> None:
    keys = [f"request-{number}" for number in range(4000)]
    few, many = ({key for key in keys if is_chosen(key, share)} for share in (0.1, 0.3))

    assert few < many
    assert len(few) == pytest.approx(400, abs=80)
    assert len(many) == pytest.approx(1200, abs=120)
    assert not any(is_chosen(key, 0.0) for key in keys)
    assert all(is_chosen(key, 1.0) for key in keys)


async def test_the_share_asked_for_is_answered_by_the_canary(
    client: TritonClient, both: str
) -> None:
    sharing = CanaryClient(client, both, Sharing(0.25, compared=0.0, seed=0))
    x = samples(2)
    from_canary = 0
    for _ in range(200):
        found = (await sharing.infer({"x": x})).outputs["probabilities"]
        from_canary += np.allclose(found, answers(2, x), atol=1e-5)

    assert from_canary == sharing.tally.canary.answered
    assert from_canary == pytest.approx(50, abs=20)
    assert sharing.tally.deployment.answered == 200 - from_canary
    assert sharing.tally.compared == 0


async def test_both_are_asked_on_the_part_that_is_compared(client: TritonClient, both: str) -> None:
    sharing = CanaryClient(client, both, Sharing(1.0, compared=1.0))
    x = samples(40, seed=3)
    found = await sharing.infer({"x": x}, key="one")
    canary, deployment = answers(2, x), answers(1, x)

    np.testing.assert_allclose(found.outputs["probabilities"], canary, atol=1e-5)
    tally = sharing.tally
    assert (tally.canary.answered, tally.deployment.answered, tally.compared) == (1, 1, 40)
    assert tally.same_class == (canary.argmax(1) == deployment.argmax(1)).sum()
    assert tally.max_absolute_difference == pytest.approx(np.abs(canary - deployment).max())


async def test_named_classes_are_compared_too(client: TritonClient, both: str) -> None:
    sharing = CanaryClient(client, both, Sharing(1.0, compared=1.0))
    x = samples(40, seed=3)
    found = await sharing.classify({"x": x}, output="probabilities", class_count=3)
    canary, deployment = answers(2, x), answers(1, x)

    assert [row[0].index for row in found.rows] == list(canary.argmax(1))
    assert sharing.tally.same_class == (canary.argmax(1) == deployment.argmax(1)).sum()
    assert sharing.tally.max_absolute_difference == pytest.approx(
        np.abs(canary - deployment).max(), abs=1e-5
    )


async def test_a_canary_that_is_gone_costs_no_answer(
    client: TritonClient, repository: ModelRepository, name: str
) -> None:
    await serve(client, repository, name, 1)
    sharing = CanaryClient(client, name, Sharing(1.0))
    x = samples(2)
    found = await sharing.infer({"x": x})

    np.testing.assert_allclose(found.outputs["probabilities"], answers(1, x), atol=1e-5)
    assert (sharing.tally.canary.answered, sharing.tally.canary.failed) == (0, 1)
    assert sharing.tally.deployment.answered == 1


async def test_a_deployment_that_is_gone_is_told(client: TritonClient, name: str) -> None:
    sharing = CanaryClient(client, name, Sharing(0.5, seed=0))
    with pytest.raises(ModelNotServedError):
        await sharing.infer({"x": samples(2)})


async def test_a_request_that_fits_no_model_is_neithers_failure(
    client: TritonClient, both: str
) -> None:
    sharing = CanaryClient(client, both, Sharing(1.0))
    with pytest.raises(InvalidInferenceError):
        await sharing.infer({"y": samples(2)})

    assert (sharing.tally.canary.failed, sharing.tally.deployment.failed) == (0, 0)


@pytest.mark.parametrize(("share", "compared"), [(1.5, 0.1), (-0.1, 0.1), (0.5, float("nan"))])
def test_what_is_no_share_is_refused(share: float, compared: float) -> None:
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        Sharing(share, compared)
