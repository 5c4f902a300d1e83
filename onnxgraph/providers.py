"""Where accelerated sessions of ONNX Runtime really run, found out by running one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import parser

from onnxgraph.session import open_session

_SQUARE = """
<ir_version: 8, opset_import: ["": 17]>
square (float[2, 2] x) => (float[2, 2] y) { y = MatMul(x, x) }
"""


def find_provider(
    request: dict[str, Any],  # noqa: ARG001
    report: Callable[[dict[str, Any]], None],  # noqa: ARG001
) -> dict[str, Any]:
    """Runs a small graph: the job of a worker that tells where such sessions run.

    Args:
        request: Nothing.
        report: Is told nothing.

    Returns:
        ``onnxruntime``, an execution provider.
    """
    return {"onnxruntime": execution_provider()}


def execution_provider() -> str:
    """Runs a small graph in an accelerated session and returns the provider that ran it.

    A provider whose libraries are missing gives way to the processor with no more than a line in
    the log; only a session that is there tells.
    """
    graph = parser.parse_model(_SQUARE).SerializeToString()
    session = open_session(graph, ort.SessionOptions(), accelerated=True)
    session.run(None, {"x": np.eye(2, dtype=np.float32)})
    return str(session.get_providers()[0])
