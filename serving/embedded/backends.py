"""Triton's backend folder, put together from the wheel's Python backend and our `model.py`."""

from __future__ import annotations

import shutil
from pathlib import Path

from serving.embedded.environment import TritonEnvironment

_OURS = Path(__file__).parent / "backend" / "model.py"


def assemble_backends(environment: TritonEnvironment, folder: Path) -> None:
    """Makes Triton's backend folder anew.

    Everything is copied: Triton refuses a link that leads out of the folder.

    Args:
        environment: Where the Python backend lies.
        folder: The folder to make; an existing one is replaced.
    """
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / "python"
    python.mkdir(parents=True)
    for name in ("libtriton_python.so", "triton_python_backend_utils.py"):
        shutil.copy2(environment.python_backend / name, python / name)
    shutil.copy2(environment.stub, python / environment.stub.name)
    ours = folder / "onnxruntime"
    ours.mkdir()
    shutil.copy2(_OURS, ours / "model.py")
