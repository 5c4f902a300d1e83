"""Health on an address of its own, as a kubelet asks for it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import ValidationError
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc

from svckit.health import LIVENESS
from svckit.lifecycle import Lifecycle, Runtime
from svckit.server import Service, StartupError
from svckit.settings import ServerSettings
from tests.helpers.certificates import Authority
from tests.helpers.loopback import ScriptedArtifacts

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def status(channel: grpc.aio.Channel, service: str = "") -> Any:
    request = health_pb2.HealthCheckRequest(service=service)
    return (await health_pb2_grpc.HealthStub(channel).Check(request)).status


def health_address(folder: Path) -> str:
    return str(json.loads((folder / "ready").read_text())["health_address"])


async def unfit(_: ServerSettings, runtime: Runtime) -> Sequence[Service]:
    await runtime.readiness.set(False)
    return []


async def fit(_: ServerSettings, __: Runtime) -> Sequence[Service]:
    return [ScriptedArtifacts().service]


async def test_a_process_that_waits_for_another_one_is_alive_but_not_ready(tmp_path: Path) -> None:
    settings = ServerSettings(
        state_dir=tmp_path, ready_file=tmp_path / "ready", health_address="127.0.0.1:0"
    )
    lifecycle = Lifecycle(settings, unfit)
    await lifecycle.start()
    try:
        async with grpc.aio.insecure_channel(health_address(tmp_path)) as channel:
            assert await status(channel) == NOT_SERVING
            assert await status(channel, LIVENESS) == SERVING
    finally:
        await lifecycle.shutdown()


async def test_a_server_with_tls_answers_probes_in_plain_text_and_nothing_else(
    tmp_path: Path,
) -> None:
    authority = Authority.create(tmp_path, "authority")
    pair = authority.issue("server")
    settings = ServerSettings(
        state_dir=tmp_path,
        ready_file=tmp_path / "ready",
        health_address="127.0.0.1:0",
        tls_certificate=pair.certificate,
        tls_key=pair.key,
    )
    lifecycle = Lifecycle(settings, fit)
    await lifecycle.start()
    try:
        async with grpc.aio.insecure_channel(health_address(tmp_path)) as channel:
            assert await status(channel) == SERVING
            stub = artifacts_pb2_grpc.ArtifactsStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.QueryWriteStatus(artifacts_pb2.QueryWriteStatusRequest())
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        async with grpc.aio.insecure_channel(str(lifecycle.address)) as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await status(channel)
    finally:
        await lifecycle.shutdown()


async def test_a_health_address_that_is_taken_is_a_start_up_failure(tmp_path: Path) -> None:
    settings = ServerSettings(
        state_dir=tmp_path, ready_file=tmp_path / "ready", health_address="127.0.0.1:0"
    )
    first = Lifecycle(settings, fit)
    await first.start()
    try:
        taken = settings.model_copy(update={"health_address": health_address(tmp_path)})
        with pytest.raises(StartupError, match="health_address"):
            await Lifecycle(taken, fit).start()
    finally:
        await first.shutdown()


def test_a_health_address_without_a_port_is_refused() -> None:
    with pytest.raises(ValidationError, match="write host:port"):
        ServerSettings(health_address="127.0.0.1")
