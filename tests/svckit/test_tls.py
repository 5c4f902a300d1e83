from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import ValidationError

from svckit.clients.channel import channel
from svckit.clients.settings import ClientSettings
from svckit.lifecycle import Lifecycle
from svckit.settings import ServerSettings
from tests.helpers.certificates import Authority
from tests.helpers.loopback import composed


async def check(settings: ClientSettings) -> int:
    async with channel(settings) as opened:
        request = health_pb2.HealthCheckRequest()
        answer = await health_pb2_grpc.HealthStub(opened).Check(request)
    return int(answer.status)


async def start(settings: ServerSettings) -> tuple[Lifecycle[ServerSettings], str]:
    lifecycle = Lifecycle(settings, composed())
    await lifecycle.start()
    return lifecycle, str(lifecycle.address)


async def test_a_client_that_trusts_the_authority_talks_over_tls(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path, "authority")
    server = authority.issue("server")
    stranger = Authority.create(tmp_path, "stranger")
    settings = ServerSettings(tls_certificate=server.certificate, tls_key=server.key)
    lifecycle, address = await start(settings)
    try:
        trusted = ClientSettings(address=address, tls_ca=authority.certificate)
        assert await check(trusted) == health_pb2.HealthCheckResponse.SERVING
        for wrong in (
            ClientSettings(address=address, tls_ca=stranger.certificate, attempts=2),
            ClientSettings(address=address, attempts=2),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await check(wrong)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        await lifecycle.shutdown()


async def test_mutual_tls_wants_a_certificate_of_the_authority_from_the_client(
    tmp_path: Path,
) -> None:
    authority = Authority.create(tmp_path, "authority")
    server, client = authority.issue("server"), authority.issue("client")
    forged = Authority.create(tmp_path, "stranger").issue("forged")
    settings = ServerSettings(
        tls_certificate=server.certificate,
        tls_key=server.key,
        tls_client_ca=authority.certificate,
    )
    lifecycle, address = await start(settings)
    try:
        known = ClientSettings(
            address=address,
            tls_ca=authority.certificate,
            tls_certificate=client.certificate,
            tls_key=client.key,
        )
        assert await check(known) == health_pb2.HealthCheckResponse.SERVING
        wrong = {"tls_certificate": forged.certificate, "tls_key": forged.key}
        for update in ({"tls_certificate": None, "tls_key": None}, wrong):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await check(known.model_copy(update={**update, "attempts": 2}))
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    finally:
        await lifecycle.shutdown()


def test_a_client_sends_no_plain_text_to_another_machine_unasked(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="another machine"):
        ClientSettings(address="192.0.2.7:50051")
    assert ClientSettings(address="192.0.2.7:50051", insecure=True)
    assert ClientSettings(address="192.0.2.7:50051", tls_ca=tmp_path / "ca.pem")


def test_a_client_certificate_without_its_key_or_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="together"):
        ClientSettings(address="127.0.0.1:1", tls_certificate=tmp_path / "a")
    with pytest.raises(ValidationError, match="need tls_ca"):
        ClientSettings(
            address="127.0.0.1:1", tls_certificate=tmp_path / "a", tls_key=tmp_path / "b"
        )
