import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from pydantic import ValidationError
from sliceandpack.artifact.v1 import artifacts_pb2, artifacts_pb2_grpc
from sliceandpack.error.v1 import error_reason_pb2 as pb

from svckit.lifecycle import Lifecycle, Runtime
from svckit.server import Service, StartupError
from svckit.settings import ServerSettings
from svckit.status import from_rpc_error
from tests.helpers.loopback import ScriptedArtifacts, composed, loopback

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
Chunk = artifacts_pb2.ReadResponse
READ = artifacts_pb2.ReadRequest(name="artifacts/a")


def health(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


async def test_a_started_server_is_serving_and_so_is_each_of_its_services() -> None:
    async with loopback(ScriptedArtifacts().service) as server:
        for name in ("", "sliceandpack.artifact.v1.Artifacts"):
            request = health_pb2.HealthCheckRequest(service=name)
            assert (await health(server.channel).Check(request)).status == SERVING


async def test_the_health_of_an_unknown_service_is_not_found() -> None:
    async with loopback() as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(server.channel).Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert from_rpc_error(caught.value).reason == pb.ERROR_REASON_RESOURCE_NOT_FOUND


async def test_a_server_is_not_serving_until_it_has_started() -> None:
    from svckit.health import HealthServicer

    servicer = HealthServicer(["a.v1.A"])
    context: Any = None
    request = health_pb2.HealthCheckRequest(service="a.v1.A")
    assert (await servicer.Check(request, context)).status == NOT_SERVING
    await servicer.serve()
    assert (await servicer.Check(request, context)).status == SERVING
    await servicer.stop()
    await servicer.serve()
    assert (await servicer.Check(request, context)).status == NOT_SERVING


async def test_every_health_watch_sees_the_server_stop_and_then_ends() -> None:
    async with loopback() as server:
        watches = [health(server.channel).Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for watch in watches:
            assert (await watch.read()).status == SERVING
        shutdown = asyncio.create_task(server.lifecycle.shutdown())
        for watch in watches:
            assert (await watch.read()).status == NOT_SERVING
            assert await watch.read() is grpc.aio.EOF
        await shutdown


async def test_reflection_lists_every_service() -> None:
    async with loopback(ScriptedArtifacts().service) as server:
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        call = stub.ServerReflectionInfo(iter([request]))
        answers = [answer async for answer in call]
    names = {service.name for service in answers[0].list_services_response.service}
    assert names == {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "sliceandpack.artifact.v1.Artifacts",
    }


async def test_metrics_tell_the_seconds_of_calls_by_method_and_code(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    async with loopback(settings=ServerSettings(ready_file=ready)) as server:
        await health(server.channel).Check(health_pb2.HealthCheckRequest())
        unknown: Any = server.channel.unary_unary("/made.up/Name")
        with contextlib.suppress(grpc.aio.AioRpcError):
            await unknown(b"")
        address = json.loads(ready.read_text())["metrics_address"]
        for _ in range(500):
            page = await fetch(address, "/metrics")
            if 'code="UNIMPLEMENTED"' in page:
                break
            # A call is observed when it has ended, a moment after its answer was sent.
            await asyncio.sleep(0.01)
        elsewhere = await fetch(address, "/")
    labels = 'code="OK",method="/grpc.health.v1.Health/Check"'
    assert f"sliceandpack_rpc_seconds_count{{{labels}}} 1.0" in page
    assert 'code="UNIMPLEMENTED",method="unknown"' in page
    assert "made.up" not in page
    assert elsewhere.startswith("HTTP/1.1 404")


async def fetch(address: str, path: str) -> str:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def test_the_ready_file_names_the_address_while_the_server_serves(tmp_path: Path) -> None:
    ready = tmp_path / "run" / "ready.json"
    async with loopback(settings=ServerSettings(ready_file=ready)) as server:
        content = json.loads(ready.read_text())
        assert content["address"] == server.address
        assert [path.name for path in ready.parent.iterdir()] == ["ready.json"]
    assert not ready.exists()


async def test_a_ready_file_that_cannot_be_written_is_a_failure_to_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ready = tmp_path / "file" / "ready.json"
    with pytest.raises(StartupError, match=r"Cannot write .*ready\.json \(File exists\)"):
        async with loopback(settings=ServerSettings(ready_file=ready)):
            pass


async def test_resources_close_in_reverse_order_after_the_last_call_has_ended() -> None:
    events: list[str] = []
    reading, finish = asyncio.Event(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def resource(name: str) -> AsyncIterator[None]:
        events.append(f"{name} opened")
        yield
        events.append(f"{name} closed")

    async def read(_request: object) -> AsyncIterator[Chunk]:
        yield Chunk(data=b"first")
        reading.set()
        await finish.wait()
        yield Chunk(data=b"last")
        events.append("call ended")

    async def compose(_settings: ServerSettings, runtime: Runtime) -> Sequence[Service]:
        for name in ("database", "workers"):
            await runtime.resources.enter_async_context(resource(name))
        return [ScriptedArtifacts(read=read).service]

    lifecycle = Lifecycle(ServerSettings(drain_seconds=10), compose)
    await lifecycle.start()
    async with grpc.aio.insecure_channel(str(lifecycle.address)) as channel:
        call = artifacts_pb2_grpc.ArtifactsStub(channel).Read(READ)
        download = asyncio.create_task(collect(call))
        await reading.wait()
        shutdown = asyncio.create_task(lifecycle.shutdown())
        await asyncio.sleep(0.05)
        assert events == ["database opened", "workers opened"]
        finish.set()
        assert await download == [b"first", b"last"]
        await asyncio.gather(shutdown, lifecycle.shutdown())
    assert events == [
        "database opened",
        "workers opened",
        "call ended",
        "workers closed",
        "database closed",
    ]


async def collect(call: Any) -> list[bytes]:
    return [chunk.data async for chunk in call]


async def test_a_call_that_outlasts_the_drain_is_cancelled() -> None:
    async def read(_request: object) -> AsyncIterator[Chunk]:
        yield Chunk(data=b"first")
        await asyncio.Event().wait()

    settings = ServerSettings(drain_seconds=0.05)
    async with loopback(ScriptedArtifacts(read=read).service, settings=settings) as server:
        call = artifacts_pb2_grpc.ArtifactsStub(server.channel).Read(READ)
        await call.read()
        await server.lifecycle.shutdown()
        with pytest.raises(grpc.aio.AioRpcError):
            await call.read()


async def test_a_new_call_is_refused_once_the_server_stops() -> None:
    async with loopback() as server:
        await health(server.channel).Check(health_pb2.HealthCheckRequest())
        await server.lifecycle.shutdown()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health(server.channel).Check(health_pb2.HealthCheckRequest())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_two_servers_never_share_an_address() -> None:
    async with loopback() as server:
        opened = False

        async def compose(_settings: ServerSettings, _runtime: Runtime) -> Sequence[Service]:
            nonlocal opened
            opened = True
            return []

        second = Lifecycle(ServerSettings(address=server.address), compose)
        with pytest.raises(StartupError, match="stop what listens there"):
            await second.start()
        assert not opened, "the second server must not touch the state of the first"


async def test_what_was_opened_is_closed_when_a_start_fails() -> None:
    closed = asyncio.Event()

    async def compose(_settings: ServerSettings, runtime: Runtime) -> Sequence[Service]:
        runtime.resources.callback(closed.set)
        raise RuntimeError("the migration failed")

    with pytest.raises(RuntimeError, match="the migration failed"):
        await Lifecycle(ServerSettings(), compose).start()
    assert closed.is_set()


async def test_a_tls_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "server.crt"
    settings = ServerSettings(tls_certificate=missing, tls_key=missing)
    with pytest.raises(StartupError, match=r"server\.crt"):
        await Lifecycle(settings, composed()).start()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:50051", "192.0.2.7:1", "example.com:1"])
def test_plain_text_to_other_machines_must_be_asked_for(address: str) -> None:
    with pytest.raises(ValidationError, match="without TLS"):
        ServerSettings(address=address)
    assert ServerSettings(address=address, insecure=True).address == address


def test_metrics_for_other_machines_must_be_asked_for_since_they_have_no_tls(
    tmp_path: Path,
) -> None:
    files: dict[str, Any] = {"tls_certificate": tmp_path / "a.crt", "tls_key": tmp_path / "a.key"}
    with pytest.raises(ValidationError, match="metrics_address"):
        ServerSettings(metrics_address="0.0.0.0:9090", **files)
    assert ServerSettings(metrics_address="0.0.0.0:9090", insecure=True, **files)


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1:", ":5", "::1:5", "[::1]:70000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        ServerSettings(address=address)


def test_half_a_tls_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="together"):
        ServerSettings(tls_certificate=tmp_path / "a.crt")
    with pytest.raises(ValidationError, match="tls_client_ca needs"):
        ServerSettings(tls_client_ca=tmp_path / "ca.pem")


def test_settings_come_from_the_environment_by_the_prefix_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class MillSettings(ServerSettings, env_prefix="MILL_"):
        """A process's own settings."""

        stones: int = 1

    monkeypatch.setenv("MILL_STONES", "2")
    monkeypatch.setenv("MILL_ADDRESS", "127.0.0.1:4")
    monkeypatch.setenv("ADDRESS", "127.0.0.1:5")
    settings = MillSettings()
    assert (settings.stones, settings.address) == (2, "127.0.0.1:4")
    with pytest.raises(ValidationError, match="frozen"):
        settings.stones = 3
