"""The one place that opens sessions of ONNX Runtime, all of them on the processor.

What they compute is what other computations are held against: a graph's normal form against the
graph, a pack against its parts, a live server against the proof. Timings are of the processor too.
A GPU's rounding (TensorFloat-32, another order of sums) would be part of every reference.
"""

from collections.abc import Sequence
from typing import Final

import onnxruntime as ort

PROVIDER: Final = "CPUExecutionProvider"
"""What runs every session, whichever build of ONNX Runtime is installed."""

ort.disable_telemetry_events()


def open_session(
    data: bytes, options: ort.SessionOptions, *, without: Sequence[str] = ()
) -> ort.InferenceSession:
    """Loads a serialised graph.

    Args:
        data: The model.
        options: As ONNX Runtime takes them.
        without: Optimizers of ONNX Runtime that are left out.

    Raises:
        Exception: ONNX Runtime refuses the graph; its exceptions share no base class.
    """
    return ort.InferenceSession(
        data, options, providers=[PROVIDER], disabled_optimizers=list(without)
    )
