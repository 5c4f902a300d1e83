"""The reconciler between a fake packer and a real Triton."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2

from serving.client import TritonClient
from serving.embedded.server import EmbeddedTriton
from serving.errors import ModelNotServedError, ServingError
from serving.repository import ModelRepository
from tests.helpers.packer import (
    FakePacker,
    classifier_pack,
    serving_packer,
    smoke_test_bytes,
)
from tests.helpers.reconciler import beside, health_watch, running_reconciler
from tests.helpers.triton import (
    answers,
    classifier,
    living_stubs,
    running_triton,
    samples,
)

_numbers = itertools.count()


@dataclass(frozen=True)
class World:
    """What a test acts on."""

    packer: FakePacker
    packer_address: str
    triton: EmbeddedTriton
    client: TritonClient
    repository: ModelRepository


@pytest.fixture(scope="session")
def bare_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    """A Triton whose repository is the reconcilers'."""
    with running_triton(tmp_path_factory.mktemp("reconciled")) as running:
        yield running.triton


@pytest.fixture
async def world(bare_triton: EmbeddedTriton) -> AsyncIterator[World]:
    """Packer and Triton, without a reconciler; what it leaves behind is cleared away."""
    packer = FakePacker()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    repository = ModelRepository(bare_triton.options.models.parent)
    async with (
        serving_packer(packer) as address,
        TritonClient(bare_triton.grpc_address, secret=bare_triton.secret) as client,
    ):
        yield World(packer, address, bare_triton, client, repository)
        with repository.opened():
            for name in repository.names():
                await client.unload(name)
                repository.remove(name)


@pytest.fixture
async def reconciled(world: World) -> AsyncIterator[World]:
    """The same with a reconciler."""
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        yield world


@pytest.fixture
def name() -> str:
    return f"deployment-{next(_numbers)}"


async def _predicts(world: World, name: str, seed: int) -> bool:
    """Whether whoever names no version gets the answers of that seed's classifier."""
    x = samples(3, seed=99)
    got = (await world.client.infer(name, {"x": x})).outputs["probabilities"]
    return bool(np.allclose(got, answers(seed, x), atol=1e-5))


async def _until_predicts(world: World, name: str, seed: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                if await _predicts(world, name, seed):
                    return
            except ServingError:
                pass
            await asyncio.sleep(0.05)


def _reason(status: status_pb2.Status) -> str:
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


async def test_a_desired_pack_is_served_and_reported(reconciled: World, name: str) -> None:
    generation = await reconciled.packer.deploy(name, classifier_pack(1), version=1)
    report = await reconciled.packer.report(name, generation)
    assert not report.HasField("error")
    assert (report.version, report.replica) == (1, "triton-0")
    assert report.smoke_max_absolute_difference < 1e-5
    assert await _predicts(reconciled, name, seed=1)


async def test_a_switch_serves_the_new_pack_and_keeps_the_old_one_beside_it(
    reconciled: World, name: str
) -> None:
    packer = reconciled.packer
    await packer.report(name, await packer.deploy(name, classifier_pack(1), version=1))
    report = await packer.report(
        name, await packer.deploy(name, classifier_pack(2), version=2, previous=1)
    )
    assert report.version == 2
    assert await _predicts(reconciled, name, seed=2)
    old = await reconciled.client.infer(name, {"x": samples()}, version=1)
    np.testing.assert_allclose(old.outputs["probabilities"], answers(1, samples()), atol=1e-5)


async def test_a_third_version_lets_the_first_one_go(reconciled: World, name: str) -> None:
    packer = reconciled.packer
    for version in (1, 2, 3):
        generation = await packer.deploy(
            name, classifier_pack(version), version=version, previous=version - 1
        )
        await packer.report(name, generation)
    assert [each.version for each in reconciled.repository.versions(name)] == [2, 3]
    with pytest.raises(ModelNotServedError):
        await reconciled.client.infer(name, {"x": samples()}, version=1)


async def test_a_switch_back_to_a_lower_version_serves_it(reconciled: World, name: str) -> None:
    packer = reconciled.packer
    for version in (1, 2):
        await packer.report(
            name, await packer.deploy(name, classifier_pack(version), version=version)
        )
    report = await packer.report(
        name, await packer.deploy(name, classifier_pack(1), version=1, previous=2)
    )
    assert (report.version, report.HasField("error")) == (1, False)
    assert await _predicts(reconciled, name, seed=1)


async def test_a_pack_that_triton_cannot_load_leaves_the_old_one_serving(
    reconciled: World, name: str
) -> None:
    packer = reconciled.packer
    await packer.report(name, await packer.deploy(name, classifier_pack(1), version=1))
    broken = classifier_pack(2, graph=b"this is no graph")
    report = await packer.report(name, await packer.deploy(name, broken, version=2, previous=1))
    assert _reason(report.error) == "DEPLOYMENT_FAILED"
    assert "ONNX Runtime refuses the graph" in report.error.message
    assert report.version == 1
    assert await _predicts(reconciled, name, seed=1)
    assert [each.version for each in reconciled.repository.versions(name)] == [1]


async def test_a_pack_that_answers_wrongly_is_taken_back(reconciled: World, name: str) -> None:
    packer = reconciled.packer
    await packer.report(name, await packer.deploy(name, classifier_pack(1), version=1))
    wrong = replace(classifier_pack(2), graph=classifier(3))
    report = await packer.report(name, await packer.deploy(name, wrong, version=2, previous=1))
    assert _reason(report.error) == "SMOKE_TEST_FAILED"
    assert report.version == 1
    assert await _predicts(reconciled, name, seed=1)
    with pytest.raises(ModelNotServedError):
        await reconciled.client.infer(name, {"x": samples()}, version=2)


async def test_a_first_pack_that_fails_leaves_nothing_behind(reconciled: World, name: str) -> None:
    wrong = replace(classifier_pack(2), graph=classifier(3))
    report = await reconciled.packer.report(
        name, await reconciled.packer.deploy(name, wrong, version=1)
    )
    assert (_reason(report.error), report.version) == ("SMOKE_TEST_FAILED", 0)
    assert name not in reconciled.repository.names()
    with pytest.raises(ModelNotServedError):
        await reconciled.client.infer(name, {"x": samples()})


async def test_a_good_pack_after_a_failed_one_is_served_under_the_same_number(
    reconciled: World, name: str
) -> None:
    packer = reconciled.packer
    wrong = replace(classifier_pack(2), graph=classifier(3))
    await packer.report(name, await packer.deploy(name, wrong, version=1))
    report = await packer.report(name, await packer.deploy(name, classifier_pack(2), version=1))
    assert not report.HasField("error")
    assert await _predicts(reconciled, name, seed=2)


async def test_damaged_bytes_are_never_served(reconciled: World, name: str) -> None:
    reconciled.packer.damaged = True
    report = await reconciled.packer.report(
        name, await reconciled.packer.deploy(name, classifier_pack(1), version=1)
    )
    assert (_reason(report.error), report.version) == ("DIGEST_MISMATCH", 0)
    assert list(reconciled.repository.versions(name)) == []


async def test_a_broken_download_goes_on(reconciled: World, name: str) -> None:
    reconciled.packer.broken_reads = 2
    report = await reconciled.packer.report(
        name, await reconciled.packer.deploy(name, classifier_pack(1), version=1)
    )
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
    reconciled: World, name: str, smoke_test: bytes
) -> None:
    pack = replace(classifier_pack(1), smoke_test=smoke_test)
    report = await reconciled.packer.report(
        name, await reconciled.packer.deploy(name, pack, version=1)
    )
    assert (_reason(report.error), report.version) == ("SMOKE_TEST_FAILED", 0)


async def test_a_withdrawn_deployment_is_unloaded_and_forgotten(
    reconciled: World, name: str
) -> None:
    packer = reconciled.packer
    await packer.report(name, await packer.deploy(name, classifier_pack(1), version=1))
    await packer.withdraw(name)
    async with asyncio.timeout(10):
        while name in reconciled.repository.names():  # noqa: ASYNC110 - a folder sets no event.
            await asyncio.sleep(0.05)
    with pytest.raises(ModelNotServedError):
        await reconciled.client.infer(name, {"x": samples()})


async def test_one_failed_deployment_takes_no_other_down(reconciled: World, name: str) -> None:
    packer = reconciled.packer
    bad, good = f"{name}-bad", f"{name}-good"
    failed = await packer.deploy(bad, classifier_pack(1, graph=b"no graph"), version=1)
    served = await packer.deploy(good, classifier_pack(2), version=1)
    assert (await packer.report(bad, failed)).HasField("error")
    assert not (await packer.report(good, served)).HasField("error")
    assert await _predicts(reconciled, good, seed=2)


async def test_a_pack_with_another_signature_replaces_configuration_and_labels_at_once(
    reconciled: World, name: str
) -> None:
    packer = reconciled.packer
    await packer.report(name, await packer.deploy(name, classifier_pack(1), version=1))
    x = samples(4)
    other = replace(
        classifier_pack(2),
        graph=classifier(2, input_name="pixels"),
        smoke_test=smoke_test_bytes({"pixels": x}, {"probabilities": answers(2, x)}),
        input_name="pixels",
        labels=("one", "two", "three"),
    )
    report = await packer.report(name, await packer.deploy(name, other, version=2, previous=1))
    assert not report.HasField("error"), report.error.message
    rows = await reconciled.client.classify(
        name, {"pixels": x}, output="probabilities", class_count=3
    )
    assert {each.label for each in rows[0]} == {"one", "two", "three"}


async def test_a_failed_pack_with_another_signature_brings_the_old_one_back_whole(
    reconciled: World, name: str
) -> None:
    packer = reconciled.packer
    await packer.report(name, await packer.deploy(name, classifier_pack(1), version=1))
    other = replace(classifier_pack(2), labels=("one", "two", "three"), graph=classifier(3))
    report = await packer.report(name, await packer.deploy(name, other, version=2, previous=1))
    assert (_reason(report.error), report.version) == ("SMOKE_TEST_FAILED", 1)
    rows = await reconciled.client.classify(
        name, {"x": samples(1)}, output="probabilities", class_count=3
    )
    assert {each.label for each in rows[0]} == {"cat", "dog", "ship"}


async def test_a_number_that_stands_for_other_bytes_is_replaced(world: World, name: str) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        await world.packer.report(
            name, await world.packer.deploy(name, classifier_pack(1), version=1)
        )
    await world.packer.withdraw(name)
    generation = await world.packer.deploy(name, classifier_pack(2), version=1)
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        report = await world.packer.report(name, generation)
        assert not report.HasField("error")
        assert await _predicts(world, name, seed=2)


async def test_a_deployment_that_makes_no_sense_is_reported_and_left_as_it_was(
    reconciled: World, name: str
) -> None:
    packer = reconciled.packer
    await packer.report(name, await packer.deploy(name, classifier_pack(1), version=1))
    senseless = replace(classifier_pack(2), labels=())
    report = await packer.report(name, await packer.deploy(name, senseless, version=2))
    assert _reason(report.error) == "DEPLOYMENT_FAILED"
    assert "no labels" in report.error.message
    assert await _predicts(reconciled, name, seed=1)


async def test_a_killed_stub_is_healed_while_clients_call(reconciled: World, name: str) -> None:
    packer = reconciled.packer
    before = living_stubs(reconciled.triton)
    await packer.report(name, await packer.deploy(name, classifier_pack(1), version=1))
    (stub,) = living_stubs(reconciled.triton) - before
    os.kill(stub, signal.SIGKILL)
    await _until_predicts(reconciled, name, seed=1)
    assert stub not in living_stubs(reconciled.triton)


async def test_the_stub_of_the_version_kept_beside_is_healed_too(
    reconciled: World, name: str
) -> None:
    packer = reconciled.packer
    before = living_stubs(reconciled.triton)
    await packer.report(name, await packer.deploy(name, classifier_pack(1), version=1))
    (stub,) = living_stubs(reconciled.triton) - before
    await packer.report(name, await packer.deploy(name, classifier_pack(2), version=2, previous=1))
    os.kill(stub, signal.SIGKILL)
    async with asyncio.timeout(20):
        while True:
            try:
                answer = await reconciled.client.infer(name, {"x": samples()}, version=1)
                break
            except ServingError:
                await asyncio.sleep(0.05)
    np.testing.assert_allclose(answer.outputs["probabilities"], answers(1, samples()), atol=1e-5)


async def test_a_restarted_reconciler_adopts_what_is_served_without_loading_it_again(
    world: World, name: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        generation = await world.packer.deploy(name, classifier_pack(1), version=1)
        await world.packer.report(name, generation)
    stubs = living_stubs(world.triton)
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        report = await world.packer.report(name, generation)
        assert (report.version, report.HasField("error")) == (1, False)
    assert living_stubs(world.triton) == stubs


async def test_what_the_repository_has_is_served_before_the_packer_is_reached(
    world: World, name: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        await world.packer.report(
            name, await world.packer.deploy(name, classifier_pack(1), version=1)
        )
    await world.client.unload(name)
    async with running_reconciler("127.0.0.1:1", **beside(world.triton)) as lifecycle:
        await _until_predicts(world, name, seed=1)
        async with health_watch(lifecycle) as watch:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_lost_repository_is_built_again_from_the_packer(world: World, name: str) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        generation = await world.packer.deploy(name, classifier_pack(1), version=4)
        await world.packer.report(name, generation)
    await world.client.unload(name)
    with world.repository.opened():
        world.repository.remove(name)
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        assert (await world.packer.report(name, generation)).version == 4
        assert await _predicts(world, name, seed=1)


async def test_a_packer_that_comes_back_is_told_everything_again(world: World, name: str) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton)):
        generation = await world.packer.deploy(name, classifier_pack(1), version=1)
        await world.packer.report(name, generation)
        await world.packer.hang_up()
        assert (await world.packer.report(name, generation)).version == 1
        generation = await world.packer.deploy(name, classifier_pack(2), version=2)
        assert (await world.packer.report(name, generation)).version == 2


async def test_the_replica_is_ready_only_when_what_is_desired_has_a_result(
    world: World, name: str
) -> None:
    await world.packer.deploy(f"{name}-bad", classifier_pack(1, graph=b"no graph"), version=1)
    await world.packer.deploy(name, classifier_pack(1), version=1)
    async with (
        running_reconciler(world.packer_address, **beside(world.triton)) as lifecycle,
        health_watch(lifecycle) as watch,
        asyncio.timeout(20),
    ):
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert await _predicts(world, name, seed=1)
