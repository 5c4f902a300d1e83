"""How the packer learns what became of deployments."""

from __future__ import annotations

import asyncio

import grpc
from sliceandpack.packer.v1 import deployments_pb2, deployments_pb2_grpc

from serving.pace import Backoff
from serving.reconciler.desired import Outcome
from serving.reconciler.reports import Reporter
from tests.helpers.packer import FakePacker, serving_packer


class Refusing(FakePacker):
    """A packer that fails at the reports on one deployment."""

    async def ReportReady(  # noqa: N802 - gRPC's name.
        self,
        request: deployments_pb2.ReportReadyRequest,
        context: grpc.aio.ServicerContext[
            deployments_pb2.ReportReadyRequest, deployments_pb2.ReportReadyResponse
        ],
    ) -> deployments_pb2.ReportReadyResponse:
        if request.deployment == "deployments/cursed":
            await context.abort(grpc.StatusCode.INTERNAL, "a fault")
        return await super().ReportReady(request, context)


async def test_a_report_that_the_packer_fails_at_holds_up_no_other() -> None:
    packer = Refusing()  # type: ignore[abstract]  # What it lacks answers UNIMPLEMENTED.
    async with serving_packer(packer) as address, grpc.aio.insecure_channel(address) as channel:
        stub: deployments_pb2_grpc.DeploymentsAsyncStub
        stub = deployments_pb2_grpc.DeploymentsStub(channel)
        reporter = Reporter(stub, "triton-0", Backoff(0.01, 0.01))
        reporter.put(Outcome("cursed", 1, 1))
        for name in ("boats", "pets"):
            reporter.put(Outcome(name, 1, 1))
        running = asyncio.create_task(reporter.run())
        for name in ("boats", "pets"):
            assert (await packer.report(name, 1)).version == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
