"""One server in a container: light at rest, and without rights."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.helpers.containers import Container, container

pytestmark = [pytest.mark.container, pytest.mark.timeout(300)]

MEGABYTE = 1_000_000
START_CPU_SECONDS = 15.0


@pytest.fixture(scope="module", params=["slicer", "packer"])
def server(request: pytest.FixtureRequest) -> Iterator[Container]:
    """A server that has just become ready."""
    insecure = f"{request.param.upper()}_INSECURE=true"
    with container(request.param, "--env", insecure) as started:
        seconds = started.until_ready()
        sys.stderr.write(f"{request.param}: ready after {seconds:.1f} s\n")
        yield started


def test_a_server_is_ready_soon_and_light_at_rest(server: Container) -> None:
    # Processor time: a busy machine makes everything else late.
    cpu_seconds = server.cpu_seconds()
    resident = server.resident_bytes() / MEGABYTE
    sys.stderr.write(f"{cpu_seconds:.1f} s of CPU, {resident:.0f} MB resident\n")
    assert cpu_seconds < START_CPU_SECONDS
    assert resident < 120


def test_a_server_has_no_rights_and_can_write_nowhere_but_in_its_volume(server: Container) -> None:
    status = dict(
        line.split(":", 1) for line in server.execute("cat", "/proc/1/status").splitlines()
    )
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["Uid"].split() == ["10001"] * 4
    assert status["NoNewPrivs"].strip() == "1"
    for folder, writable in (("/var/lib/slice-and-pack", "0"), ("/opt", "1"), ("/etc", "1")):
        attempt = f"touch {folder}/attempt 2>/dev/null; test $? -ne 0; echo $?"
        found = server.execute("sh", "-c", attempt).strip()
        assert found != writable, folder
