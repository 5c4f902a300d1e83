"""Where torch and ONNX Runtime really compute, found out by computing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from onnx import parser

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_SQUARE = """
<ir_version: 8, opset_import: ["": 17]>
square (float[2, 2] x) => (float[2, 2] y) { y = MatMul(x, x) }
"""


def find_device(
    request: dict[str, Any],
    report: Callable[[dict[str, Any]], None],  # noqa: ARG001
) -> dict[str, Any]:
    """Computes a little with each library: the job of workers that tells where they do.

    Args:
        request: ``cuda``, whether CUDA is tried.
        report: Is told nothing.

    Returns:
        ``torch``, a type of device, and ``onnxruntime``, an execution provider.
    """
    return {"torch": torch_device(), "onnxruntime": execution_provider(cuda=request["cuda"])}


def torch_device() -> str:
    """Returns the type of device that torch computes on, ``cpu`` or ``cuda``."""
    if not torch.cuda.is_available():
        return "cpu"
    square = torch.eye(2, device="cuda")
    return (square @ square).device.type


def execution_provider(*, cuda: bool) -> str:
    """Runs a small graph and returns the provider of ONNX Runtime that ran it.

    A provider whose libraries are missing gives way to the processor with no more than a line in
    the log; only a session that is there tells.

    Args:
        cuda: Whether CUDA is tried first, where this ONNX Runtime was built with it.
    """
    providers = [_CPU]
    if cuda and _CUDA in ort.get_available_providers():
        # CUDA and cuDNN come as wheels, out of the loader's sight.
        ort.preload_dlls()
        providers = [_CUDA, _CPU]
    session = ort.InferenceSession(
        parser.parse_model(_SQUARE).SerializeToString(), providers=providers
    )
    session.run(None, {"x": np.eye(2, dtype=np.float32)})
    return str(session.get_providers()[0])
