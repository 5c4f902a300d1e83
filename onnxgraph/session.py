"""The one place that opens sessions of ONNX Runtime.

Nearly all of them run on the processor, since what they compute is what other computations are held
against: a graph's normal form against the graph, a pack against its parts, a live server against
the proof; and timings are of the processor. What may run on a GPU says so where it opens a session.
"""

import os
from collections.abc import Sequence
from typing import Any, Final

import onnxruntime as ort

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"

_Provider = str | tuple[str, dict[str, Any]]

ort.disable_telemetry_events()


def open_session(
    data: bytes,
    options: ort.SessionOptions,
    *,
    without: Sequence[str] = (),
    accelerated: bool = False,
) -> ort.InferenceSession:
    """Loads a serialised graph.

    Args:
        data: The model.
        options: As ONNX Runtime takes them.
        without: Optimizers of ONNX Runtime that are left out.
        accelerated: Whether it runs on a GPU where this process sees one and this ONNX Runtime was
            built with CUDA; on the processor otherwise.

    Raises:
        Exception: ONNX Runtime refuses the graph; its exceptions share no base class.
    """
    providers = _fastest() if accelerated else [CPU]
    return ort.InferenceSession(
        data, options, providers=providers, disabled_optimizers=list(without)
    )


def _fastest() -> list[_Provider]:
    # A worker that is kept from GPUs has the variable empty.
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
    if hidden or CUDA not in ort.get_available_providers():
        return [CPU]
    # CUDA and cuDNN come as wheels, out of the loader's sight.
    ort.preload_dlls()
    # TensorFloat-32 has ten bits of mantissa: too few for features that a head is fitted to.
    return [(CUDA, {"use_tf32": "0"}), CPU]
