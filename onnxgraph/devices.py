"""Where torch and ONNX Runtime really compute, found out by computing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from onnx import parser

from onnxgraph.session import open_session

_SQUARE = """
<ir_version: 8, opset_import: ["": 17]>
square (float[2, 2] x) => (float[2, 2] y) { y = MatMul(x, x) }
"""


def find_device(
    request: dict[str, Any],  # noqa: ARG001
    report: Callable[[dict[str, Any]], None],  # noqa: ARG001
) -> dict[str, Any]:
    """Computes a little with each library: the job of workers that tells where they do.

    Args:
        request: Nothing.
        report: Is told nothing.

    Returns:
        ``torch``, a type of device, and ``onnxruntime``, an execution provider.
    """
    return {"torch": torch_device(), "onnxruntime": execution_provider()}


def torch_device() -> str:
    """Returns the type of device that torch computes on, ``cpu`` or ``cuda``."""
    if not torch.cuda.is_available():
        return "cpu"
    square = torch.eye(2, device="cuda")
    return (square @ square).device.type


def execution_provider() -> str:
    """Runs a small graph and returns the provider of ONNX Runtime that ran it."""
    session = open_session(parser.parse_model(_SQUARE).SerializeToString(), ort.SessionOptions())
    session.run(None, {"x": np.eye(2, dtype=np.float32)})
    return str(session.get_providers()[0])
