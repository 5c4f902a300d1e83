"""Where torch and ONNX Runtime really compute, found out by computing."""

from __future__ import annotations

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
