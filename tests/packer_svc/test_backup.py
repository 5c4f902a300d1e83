"""A backup of a running packer, and a packer that is started over it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from svckit.backup import main
from tests.helpers.deployments_client import DeploymentsClient
from tests.helpers.packer_state import stock_packs
from tests.helpers.packs_client import PacksClient
from tests.helpers.processes import ROOT, ServiceProcess
from tests.helpers.replica import Replica

PACKS = {"a": ("one", "two"), "b": ("one", "three"), "c": ("one", "two")}
QUICK = ("--replica-seconds", "1")


def back_up(state: Path, backup: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "svckit.backup", str(state), str(backup)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a packer that does not run."""
    state = tmp_path_factory.mktemp("packer") / "state"
    asyncio.run(stock_packs(state, PACKS))
    return state


@pytest.fixture
def state(stocked: Path, tmp_path: Path) -> Path:
    """One of its own for a test."""
    return shutil.copytree(stocked, tmp_path / "old" / "state")


async def test_a_backup_of_a_running_service_is_a_state_folder(state: Path, tmp_path: Path) -> None:
    process = ServiceProcess("packer_svc", state.parent, QUICK)
    process.start()
    try:
        async with grpc.aio.insecure_channel(process.address) as channel, Replica(channel):
            await DeploymentsClient(channel).create("d", "packs/a")
            done = await asyncio.to_thread(back_up, state, tmp_path / "new" / "state")
            assert (done.returncode, done.stderr) == (0, "")
            old = {name: await PacksClient(channel).get(name) for name in PACKS}
    finally:
        process.kill()
    shutil.rmtree(state)
    restored = ServiceProcess("packer_svc", tmp_path / "new", QUICK)
    restored.start()
    try:
        async with grpc.aio.insecure_channel(restored.address) as channel:
            packs = PacksClient(channel)
            for name, pack in old.items():
                assert await packs.get(name) == pack
                for artifact in (pack.graph, pack.manifest, pack.proof):
                    assert len(await packs.read(artifact)) == artifact.size_bytes
            async with Replica(channel):
                assert (await DeploymentsClient(channel).switch("d", "packs/c")).version == 2
    finally:
        assert restored.stop() == 0


def test_a_second_backup_copies_what_is_new(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = tmp_path / "backup"
    assert main([str(state), str(backup)]) == 0
    first = {path: path.stat().st_ino for path in backup.rglob("objects/*/*")}
    asyncio.run(stock_packs(state, {"d": ("four", "five")}))
    assert main([str(state), str(backup)]) == 0
    second = {path: path.stat().st_ino for path in backup.rglob("objects/*/*")}
    assert first.items() < second.items()
    assert f"{len(second)} of {len(second)} artifacts" in capsys.readouterr().out


@pytest.mark.parametrize("fault", ["gone", "altered"])
def test_what_cannot_be_copied_is_named_and_the_rest_is_copied(
    fault: str, state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, *others = sorted(state.rglob("objects/*/*"))
    if fault == "gone":
        bad.unlink()
    else:
        bad.write_bytes(b"other bytes")
    assert main([str(state), str(tmp_path / "backup")]) == 3
    assert f"sha256:{bad.name}" in capsys.readouterr().err
    copied = {path.name for path in (tmp_path / "backup").rglob("objects/*/*")}
    assert copied == {path.name for path in others}


def test_wrong_folders_are_refused(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), str(tmp_path / "backup")]) == 2
    assert main([str(state), str(state / "backup")]) == 2
    served = tmp_path / "served"
    served.mkdir()
    (served / "service.db.lock").touch()
    assert main([str(state), str(served)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert not (tmp_path / "backup").exists()
