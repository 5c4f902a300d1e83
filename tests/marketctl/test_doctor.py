from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from tritonclient.grpc import service_pb2

from marketctl import stack
from tests.helpers.command_line import Ended, marketctl

NOWHERE = "127.0.0.1:1"


@contextmanager
def live_triton() -> Iterator[str]:
    """Yields the address of a server that says it is live, as Triton says it."""
    live = service_pb2.ServerLiveResponse(live=True).SerializeToString()
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda _request, _context: live)
    service = "inference.GRPCInferenceService"
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {"ServerLive": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def doctor(folder: Path, slicer: str = NOWHERE) -> Ended:
    services = ("--slicer", slicer, "--packer", NOWHERE, "--triton", NOWHERE, "--timeout", "0.2")
    folders = ("--state-dir", folder / "var", "--triton-env", folder / ".triton")
    return marketctl(*services, "-o", "json", "doctor", *folders)


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return doctor(tmp_path_factory.mktemp("machine"))


def test_a_failed_check_is_not_hidden_by_a_format(tmp_path: Path) -> None:
    folders = ("--state-dir", tmp_path / "var", "--triton-env", tmp_path / ".triton")
    away = ("--slicer", NOWHERE, "--packer", NOWHERE, "--triton", NOWHERE)
    table = marketctl(*away, "doctor", *folders)
    assert table.code == 1
    assert "1 fail" in table.out
    document = marketctl(*away, "doctor", *folders, "-o", "yaml")
    assert document.code == 1
    assert "fail" in [check["status"] for check in yaml.safe_load(document.out)]


def found(ended: Ended, name: str) -> dict[str, str]:
    return next(check for check in ended.data if check["name"].startswith(name))


def test_a_failed_check_ends_with_1(examined: Ended) -> None:
    assert examined.code == 1


def test_what_is_installed_is_well(examined: Ended) -> None:
    assert found(examined, "Python")["status"] == "ok"
    assert found(examined, "Packages")["status"] == "ok"


def test_a_missing_triton_fails_with_what_to_do(examined: Ended) -> None:
    triton = found(examined, "Triton in")
    assert triton["status"] == "fail"
    assert "make setup" in triton["advice"]


def test_a_missing_triton_is_a_warning_where_another_one_lives(tmp_path: Path) -> None:
    with live_triton() as address:
        services = ("--slicer", NOWHERE, "--packer", NOWHERE, "--triton", address)
        folders = ("--state-dir", tmp_path / "var", "--triton-env", tmp_path / ".triton")
        ended = marketctl(*services, "-o", "json", "doctor", *folders)
    assert found(ended, "Triton at")["status"] == "ok"
    assert found(ended, "Triton in")["status"] == "warn"


def test_the_embedded_triton_is_looked_for_beside_the_project_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = Path(stack.__file__).parents[1]
    expected = project / ".triton" if (project / ".triton").exists() else Path(".triton")
    assert stack.triton_folder(stack.TRITON) == expected
    assert stack.triton_folder(tmp_path / "elsewhere") == tmp_path / "elsewhere"


@pytest.mark.parametrize("service", ["Slicer", "Packer", "Triton at"])
def test_a_service_that_was_not_started_is_a_warning(service: str, examined: Ended) -> None:
    check = found(examined, service)
    assert check["status"] == "warn"
    assert "marketctl up" in check["advice"]


def test_another_program_on_the_port_fails(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        check = found(doctor(tmp_path, f"127.0.0.1:{listener.getsockname()[1]}"), "Slicer")
    assert check["status"] == "fail"


def test_every_check_that_is_not_well_says_what_to_do(examined: Ended) -> None:
    assert all(check["advice"] for check in examined.data if check["status"] != "ok")
