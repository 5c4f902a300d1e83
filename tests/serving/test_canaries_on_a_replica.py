"""Canaries on one replica: what the reconciler counts and compares, over a real Triton."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sliceandpack.packer.v1 import deployments_pb2 as pb

from serving.client import TritonClient
from serving.errors import ModelNotServedError
from tests.helpers.packer import LONG_SECONDS, FakePack, classifier_pack
from tests.helpers.reconciler import World, beside, running_reconciler
from tests.helpers.triton import answers, living_stubs, samples

QUICK = {"comparison_seconds": 0.1}


async def canary_of(world: World, deployment: str, pack: FakePack) -> int:
    """Deploys seed 1, and a pack as its canary; returns the canary's generation."""
    await world.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
    name = f"{deployment}--canary"
    generation = await world.packer.deploy(name, pack, version=1, canary_of=deployment)
    report = await world.packer.report(name, generation)
    assert not report.HasField("error"), report.error.message
    return generation


async def until_compared(
    world: World,
    deployment: str,
    generation: int,
    condition: Callable[[pb.CanaryComparison], bool] = lambda _: True,
) -> pb.CanaryComparison:
    """Waits for a report on the canary with a comparison that is so."""
    async with asyncio.timeout(LONG_SECONDS):
        while True:
            report = await world.packer.report(f"{deployment}--canary", generation)
            if report.HasField("comparison") and condition(report.comparison):
                return report.comparison


async def test_a_canary_is_served_beside_its_deployment_and_both_agree_as_far_as_they_do(
    world: World, deployment: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton), **QUICK):
        generation = await canary_of(world, deployment, classifier_pack(2))
        found = await until_compared(world, deployment, generation)
        assert await world.predicts(deployment, seed=1)
        assert await world.predicts(f"{deployment}--canary", seed=2)

    x = samples(5)  # Both packs' stored samples.
    same = (answers(1, x).argmax(1) == answers(2, x).argmax(1)).mean()
    assert found.agreement.rows == 5
    assert found.agreement.top1_agreement == pytest.approx(same)
    assert found.agreement.max_absolute_difference == pytest.approx(
        np.abs(answers(1, x) - answers(2, x)).max(), abs=1e-5
    )


async def test_what_clients_ask_is_counted_and_what_the_reconciler_asks_is_not(
    world: World, deployment: str
) -> None:
    async with (
        running_reconciler(world.packer_address, **beside(world.triton), **QUICK),
        TritonClient(world.triton.grpc_address) as outside,
    ):
        generation = await canary_of(world, deployment, classifier_pack(2))
        await until_compared(world, deployment, generation)
        for name, requests in ((deployment, 30), (f"{deployment}--canary", 10)):
            for _ in range(requests):
                await outside.infer(name, {"x": samples(8)})
        found = await until_compared(
            world,
            deployment,
            generation,
            lambda it: it.canary.requests >= 10 and it.deployment.requests >= 30,
        )
        # Probes go on, five a second and model; none of them is taken for a client's.
        await asyncio.sleep(1.0)
        last = found
        for report in world.packer.reports:
            if report.deployment == f"deployments/{deployment}--canary":
                last = report.comparison

    for model, requests in ((last.deployment, 30), (last.canary, 10)):
        # One of the reconciler's own may just be under way.
        assert abs(model.requests - requests) <= 1
        assert model.errors == 0
        assert 0 < model.compute_seconds < model.request_seconds < 1.0
        assert model.queue_seconds < model.request_seconds


async def test_a_canary_that_clients_would_notice_is_counted_and_not_held_against_the_deployment(
    world: World, deployment: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton), **QUICK):
        other = replace(classifier_pack(2), labels=("one", "two", "three"))
        generation = await canary_of(world, deployment, other)
        found = await until_compared(world, deployment, generation)

    assert found.HasField("canary")
    assert not found.HasField("agreement")


async def test_a_canary_that_answers_wrongly_is_taken_back_and_the_deployment_stays(
    world: World, deployment: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton), **QUICK):
        await world.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
        wrong = replace(classifier_pack(2), graph=classifier_pack(3).graph)
        name = f"{deployment}--canary"
        generation = await world.packer.deploy(name, wrong, version=1, canary_of=deployment)
        report = await world.packer.report(name, generation)
        assert (report.HasField("error"), report.version) == (True, 0)
        assert await world.predicts(deployment, seed=1)
        with pytest.raises(ModelNotServedError):
            await world.client.infer(name, {"x": samples()})


async def test_an_ended_canary_is_unloaded_and_the_deployment_stays(
    world: World, deployment: str
) -> None:
    name = f"{deployment}--canary"
    async with running_reconciler(world.packer_address, **beside(world.triton), **QUICK):
        await canary_of(world, deployment, classifier_pack(2))
        await world.packer.withdraw(name)
        async with asyncio.timeout(LONG_SECONDS):
            while name in world.repository.names():  # noqa: ASYNC110 - a folder sets no event.
                await asyncio.sleep(0.05)
        with pytest.raises(ModelNotServedError):
            await world.client.infer(name, {"x": samples()})
        assert await world.predicts(deployment, seed=1)


async def test_a_restarted_reconciler_adopts_a_canary_and_counts_anew(
    world: World, deployment: str
) -> None:
    async with running_reconciler(world.packer_address, **beside(world.triton), **QUICK):
        generation = await canary_of(world, deployment, classifier_pack(2))
        before = await until_compared(world, deployment, generation)
    world.packer.reports.clear()
    async with running_reconciler(world.packer_address, **beside(world.triton), **QUICK):
        after = await until_compared(world, deployment, generation)
        assert await world.predicts(f"{deployment}--canary", seed=2)
        assert await world.predicts(deployment, seed=1)

    assert after.start_time.ToNanoseconds() > before.start_time.ToNanoseconds()
    assert after.agreement == before.agreement
    assert after.canary.requests == 0


async def test_counting_goes_on_after_a_canary_was_healed(world: World, deployment: str) -> None:
    name = f"{deployment}--canary"
    async with (
        running_reconciler(world.packer_address, **beside(world.triton), **QUICK),
        TritonClient(world.triton.grpc_address) as outside,
    ):
        before = living_stubs(world.triton)
        await world.packer.deploy_and_wait(deployment, classifier_pack(1), version=1)
        others = living_stubs(world.triton)
        generation = await world.packer.deploy(
            name, classifier_pack(2), version=1, canary_of=deployment
        )
        first = await until_compared(world, deployment, generation)
        (stub,) = living_stubs(world.triton) - others - before
        os.kill(stub, signal.SIGKILL)
        await world.until_predicts(name, seed=2)
        for _ in range(20):
            await outside.infer(name, {"x": samples(2)})
        after = await until_compared(
            world, deployment, generation, lambda it: it.canary.requests >= 19
        )

    assert after.start_time == first.start_time
    assert after.canary.requests <= 25
