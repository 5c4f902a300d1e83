"""The packer's process: light, and quick to say what is wrong with its settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from onnxgraph.providers import execution_provider
from onnxgraph.session import CPU
from packer_svc.settings import PackerSettings
from tests.helpers.processes import ROOT, ServiceProcess

CHECK = """
import sys
import packer_svc.app
heavy = {"torch", "onnx", "onnx_ir", "onnxruntime", "numpy", "scipy", "sklearn"}
found = sorted(heavy & set(sys.modules))
sys.exit(f"imported: {found}" if found else 0)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )


def test_the_server_imports_no_machine_learning_library() -> None:
    done = run("-c", CHECK)
    assert (done.returncode, done.stderr) == (0, "")


def test_wrong_settings_are_named() -> None:
    done = run("-m", "packer_svc", "--replica-seconds", "-1")
    assert done.returncode == 2
    assert "replica_seconds" in done.stderr


def test_threads_of_a_worker_are_for_fragments_beside_each_other() -> None:
    settings = PackerSettings(worker_threads=3)
    assert (settings.worker_threads, settings.library_threads) == (3, 1)


def test_a_second_packer_on_one_state_folder_does_not_start(shared_packer: ServiceProcess) -> None:
    state = str(shared_packer.folder / "state")
    done = run("-m", "packer_svc", "--address", "127.0.0.1:0", "--state-dir", state)
    assert done.returncode == 3
    assert "in use by another process" in done.stderr


@pytest.mark.skipif(execution_provider() != CPU, reason="this machine has a GPU")
def test_a_packer_that_was_asked_for_a_gpu_does_not_start_without_one(tmp_path: Path) -> None:
    options = ("--address", "127.0.0.1:0", "--state-dir", str(tmp_path))
    done = run("-m", "packer_svc", "--device", "cuda", *options)
    assert done.returncode == 3
    assert "asked for is cuda, but onnxruntime computes on CPUExecutionProvider" in done.stderr
    assert "set device to cpu" in done.stderr


def test_a_packer_that_was_asked_for_the_processor_shows_it(tmp_path: Path) -> None:
    packer = ServiceProcess("packer_svc", tmp_path, ["--device", "cpu"])
    ready = packer.start()
    try:
        with urlopen(f"http://{ready['metrics_address']}/metrics") as answer:
            lines = answer.read().decode().splitlines()
    finally:
        packer.stop()
    name = "sliceandpack_execution_provider"
    assert f'{name}{{library="onnxruntime",provider="CPUExecutionProvider"}} 1.0' in lines
