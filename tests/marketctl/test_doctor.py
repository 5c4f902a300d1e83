from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml

from tests.helpers.command_line import Ended, marketctl

NOWHERE = "127.0.0.1:1"


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
