"""The slicer computes where it was asked to, or does not start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
import torch

from tests.helpers.processes import ROOT, ServiceProcess


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_slicer_that_was_asked_for_a_gpu_does_not_start_without_one(tmp_path: Path) -> None:
    options = ("--device", "cuda", "--address", "127.0.0.1:0", "--state-dir", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "slicer_svc", *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 3
    assert "asked for is cuda, but torch computes on cpu" in done.stderr
    assert "set device to cpu" in done.stderr


def test_a_slicer_that_was_asked_for_the_processor_shows_it(tmp_path: Path) -> None:
    slicer = ServiceProcess("slicer_svc", tmp_path, ["--device", "cpu"])
    ready = slicer.start()
    try:
        with urlopen(f"http://{ready['metrics_address']}/metrics") as answer:
            lines = answer.read().decode().splitlines()
    finally:
        slicer.stop()
    name = "sliceandpack_execution_provider"
    assert f'{name}{{library="torch",provider="cpu"}} 1.0' in lines
