"""Switches, between a fake packer and a real Triton."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import onnx
import pytest

from serving.errors import ModelNotServedError
from tests.helpers.packer import LONG_SECONDS, classifier_pack, smoke_test_bytes
from tests.helpers.reconciler import World, reason_of
from tests.helpers.triton import answers, classifier, samples


async def test_a_desired_pack_is_served_and_reported(reconciled: World, deployment: str) -> None:
    generation = await reconciled.packer.deploy(deployment, classifier_pack(1), version=1)
    report = await reconciled.packer.report(deployment, generation)
    assert not report.HasField("error")
    assert (report.version, report.replica) == (1, "triton-0")
    assert report.smoke_max_absolute_difference < 1e-5
    assert await reconciled.predicts(deployment, seed=1)


async def test_a_switch_serves_the_new_pack_and_keeps_the_old_one_beside_it(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    report = await packer.deploy_and_wait(deployment, classifier_pack(2), version=2, previous=1)
    assert report.version == 2
    assert await reconciled.predicts(deployment, seed=2)
    old = await reconciled.client.infer(deployment, {"x": samples()}, version=1)
    np.testing.assert_allclose(old.outputs["probabilities"], answers(1, samples()), atol=1e-5)


async def test_a_third_version_lets_the_first_one_go(reconciled: World, deployment: str) -> None:
    packer = reconciled.packer
    for version in (1, 2, 3):
        generation = await packer.deploy(
            deployment, classifier_pack(version), version=version, previous=version - 1
        )
        await packer.report(deployment, generation)
    assert [each.version for each in reconciled.repository.versions(deployment)] == [2, 3]
    with pytest.raises(ModelNotServedError):
        await reconciled.client.infer(deployment, {"x": samples()}, version=1)


async def test_a_switch_back_to_a_lower_version_serves_it(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    for version in (1, 2):
        await packer.deploy_and_wait(deployment, classifier_pack(version), version=version)
    report = await packer.deploy_and_wait(deployment, classifier_pack(1), version=1, previous=2)
    assert (report.version, report.HasField("error")) == (1, False)
    assert await reconciled.predicts(deployment, seed=1)


async def test_a_pack_that_triton_cannot_load_leaves_the_old_one_serving(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    broken = classifier_pack(2, graph=b"this is no graph")
    report = await packer.deploy_and_wait(deployment, broken, version=2, previous=1)
    assert reason_of(report) == "DEPLOYMENT_FAILED"
    assert "ONNX Runtime refuses the graph" in report.error.message
    assert report.version == 1
    assert await reconciled.predicts(deployment, seed=1)
    assert [each.version for each in reconciled.repository.versions(deployment)] == [1]


async def test_a_pack_that_answers_wrongly_is_taken_back(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    wrong = replace(classifier_pack(2), graph=classifier(3))
    report = await packer.deploy_and_wait(deployment, wrong, version=2, previous=1)
    assert reason_of(report) == "SMOKE_TEST_FAILED"
    assert report.version == 1
    assert await reconciled.predicts(deployment, seed=1)
    with pytest.raises(ModelNotServedError):
        await reconciled.client.infer(deployment, {"x": samples()}, version=2)


async def test_a_first_pack_that_fails_leaves_nothing_behind(
    reconciled: World, deployment: str
) -> None:
    wrong = replace(classifier_pack(2), graph=classifier(3))
    report = await reconciled.packer.deploy_and_wait(deployment, wrong, version=1)
    assert (reason_of(report), report.version) == ("SMOKE_TEST_FAILED", 0)
    assert deployment not in reconciled.repository.names()
    with pytest.raises(ModelNotServedError):
        await reconciled.client.infer(deployment, {"x": samples()})


async def test_a_good_pack_after_a_failed_one_is_served_under_the_same_number(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    wrong = replace(classifier_pack(2), graph=classifier(3))
    await packer.deploy_and_wait(deployment, wrong, version=1)
    report = await packer.deploy_and_wait(deployment, classifier_pack(2), version=1)
    assert not report.HasField("error")
    assert await reconciled.predicts(deployment, seed=2)


async def test_damaged_bytes_are_never_served(reconciled: World, deployment: str) -> None:
    reconciled.packer.damaged = True
    report = await reconciled.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    assert (reason_of(report), report.version) == ("DIGEST_MISMATCH", 0)
    assert list(reconciled.repository.versions(deployment)) == []


async def test_a_broken_download_goes_on(reconciled: World, deployment: str) -> None:
    reconciled.packer.broken_reads = 2
    report = await reconciled.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    assert not report.HasField("error")
    assert reconciled.packer.broken_reads == 0


@pytest.mark.parametrize(
    "smoke_test",
    [
        b"no npz",
        smoke_test_bytes({"x": samples()}, {}),
        smoke_test_bytes({"x": samples(2)}, {"probabilities": np.zeros((3, 3))}),
        smoke_test_bytes({"x": samples(2)}, {"probabilities": np.full((2, 3), np.nan)}),
    ],
    ids=["no npz", "no answers", "unequal", "not a number"],
)
async def test_a_smoke_test_that_proves_nothing_is_refused(
    reconciled: World, deployment: str, smoke_test: bytes
) -> None:
    pack = replace(classifier_pack(1), smoke_test=smoke_test)
    report = await reconciled.packer.deploy_and_wait(deployment, pack, version=1)
    assert (reason_of(report), report.version) == ("SMOKE_TEST_FAILED", 0)


async def test_a_withdrawn_deployment_is_unloaded_and_forgotten(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    await packer.withdraw(deployment)
    async with asyncio.timeout(LONG_SECONDS):
        while deployment in reconciled.repository.names():  # noqa: ASYNC110 - a folder sets no event.
            await asyncio.sleep(0.05)
    with pytest.raises(ModelNotServedError):
        await reconciled.client.infer(deployment, {"x": samples()})


async def test_one_failed_deployment_takes_no_other_down(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    bad, good = f"{deployment}-bad", f"{deployment}-good"
    failed = await packer.deploy(bad, classifier_pack(1, graph=b"no graph"), version=1)
    served = await packer.deploy(good, classifier_pack(2), version=1)
    assert (await packer.report(bad, failed)).HasField("error")
    assert not (await packer.report(good, served)).HasField("error")
    assert await reconciled.predicts(good, seed=2)


async def test_a_pack_with_another_signature_replaces_configuration_and_labels_at_once(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    x = samples(4)
    other = replace(
        classifier_pack(2),
        graph=classifier(2, input_name="pixels"),
        smoke_test=smoke_test_bytes({"pixels": x}, {"probabilities": answers(2, x)}),
        input_name="pixels",
        labels=("one", "two", "three"),
    )
    report = await packer.deploy_and_wait(deployment, other, version=2, previous=1)
    assert not report.HasField("error"), report.error.message
    found = await reconciled.client.classify(
        deployment, {"pixels": x}, output="probabilities", class_count=3
    )
    assert {each.label for each in found.rows[0]} == {"one", "two", "three"}


async def test_a_second_output_is_served_and_held_against_the_stored_answers(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    x = samples(4)
    right = {"probabilities": answers(2, x), "none_of_these": doubt(answers(2, x))}
    wary = replace(
        classifier_pack(2),
        graph=doubting(classifier(2)),
        smoke_test=smoke_test_bytes({"x": x}, right),
        none_of_these=True,
    )
    report = await packer.deploy_and_wait(deployment, wary, version=2, previous=1)
    assert not report.HasField("error"), report.error.message
    found = await reconciled.client.classify(
        deployment, {"x": x}, output="probabilities", class_count=1, beside=("none_of_these",)
    )
    assert len(found.rows) == len(x)
    np.testing.assert_allclose(found.outputs["none_of_these"], right["none_of_these"], atol=1e-5)

    wrong = right | {"none_of_these": right["none_of_these"] + 0.01}
    liar = replace(wary, smoke_test=smoke_test_bytes({"x": x}, wrong))
    report = await packer.deploy_and_wait(deployment, liar, version=3, previous=2)
    assert (reason_of(report), report.version) == ("SMOKE_TEST_FAILED", 2)


async def test_a_second_output_that_the_graph_lacks_leaves_the_old_pack_serving(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    lacking = replace(classifier_pack(2), none_of_these=True)
    report = await packer.deploy_and_wait(deployment, lacking, version=2, previous=1)
    assert report.HasField("error")
    assert await reconciled.predicts(deployment, seed=1)


def doubt(probabilities: np.ndarray) -> np.ndarray:
    """Stands for a score `(N, 1)`."""
    least: np.ndarray = probabilities.min(axis=1, keepdims=True)
    return least


def doubting(graph: bytes) -> bytes:
    """A pack with the second output, here the least probability."""
    model = onnx.load_from_string(graph)
    node = onnx.helper.make_node("ReduceMin", ["probabilities"], ["none_of_these"], axes=[1])
    model.graph.node.append(node)
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("none_of_these", onnx.TensorProto.FLOAT, ["N", 1])
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


async def test_a_failed_pack_with_another_signature_brings_the_old_one_back_whole(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    other = replace(classifier_pack(2), labels=("one", "two", "three"), graph=classifier(3))
    report = await packer.deploy_and_wait(deployment, other, version=2, previous=1)
    assert (reason_of(report), report.version) == ("SMOKE_TEST_FAILED", 1)
    found = await reconciled.client.classify(
        deployment, {"x": samples(1)}, output="probabilities", class_count=3
    )
    assert {each.label for each in found.rows[0]} == {"cat", "dog", "ship"}


async def test_a_deployment_that_makes_no_sense_is_reported_and_left_as_it_was(
    reconciled: World, deployment: str
) -> None:
    packer = reconciled.packer
    await packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    senseless = replace(classifier_pack(2), labels=())
    report = await packer.deploy_and_wait(deployment, senseless, version=2)
    assert reason_of(report) == "DEPLOYMENT_FAILED"
    assert "no labels" in report.error.message
    assert await reconciled.predicts(deployment, seed=1)
