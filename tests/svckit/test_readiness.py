"""A running server that says for a while that it is not fit to be called."""

import json
from collections.abc import Sequence
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from svckit.lifecycle import Lifecycle, Runtime
from svckit.server import Service
from svckit.settings import ServerSettings

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_server_says_not_serving_while_its_process_is_not_ready(tmp_path: Path) -> None:
    runtimes: list[Runtime] = []

    async def compose(_: ServerSettings, runtime: Runtime) -> Sequence[Service]:
        runtimes.append(runtime)
        runtime.ready_facts["backend"] = "127.0.0.1:1"
        await runtime.readiness.set(False)
        return []

    settings = ServerSettings(state_dir=tmp_path, ready_file=tmp_path / "ready")
    lifecycle = Lifecycle(settings, compose)
    await lifecycle.start()
    try:
        async with grpc.aio.insecure_channel(str(lifecycle.address)) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await watch.read()).status == NOT_SERVING
            for ready in (True, False):
                await runtimes[0].readiness.set(ready)
                assert (await watch.read()).status == (SERVING if ready else NOT_SERVING)
        facts = json.loads((tmp_path / "ready").read_text())
        assert facts["backend"] == "127.0.0.1:1"
        assert facts["address"] == str(lifecycle.address)
    finally:
        await lifecycle.shutdown()
