"""Jobs for worker processes in tests: some work, most misbehave."""

import ctypes
import os
import sys
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Report = Callable[[Json], None]


class Reason(StrEnum):
    GRAPH_NOT_ONNX = "GRAPH_NOT_ONNX"


class DomainError(Exception):
    """Has what the errors of the pure libraries have."""

    def __init__(self, reason: str) -> None:
        super().__init__("the bytes are no ONNX model")
        self.reason = reason
        self.message = "The bytes are no ONNX model."
        self.advice = "Export the model again."
        self.metadata: Mapping[str, str] = {"node": "conv1"}


def echo(request: Json, report: Report) -> Json:
    return {**request, "pid": os.getpid()}


def count(request: Json, report: Report) -> Json:
    for done in range(request["total"]):
        report({"done": done + 1, "total": request["total"]})
    return {"total": request["total"]}


def chatter(request: Json, report: Report) -> Json:
    """Prints as native libraries do: past Python, to both streams, much of it."""
    os.write(1, b"\x00\x00\x00\x05noise on standard output\n")
    sys.stdout.write("printed\n")
    sys.stderr.write("to standard error\n")
    ctypes.CDLL(None).printf(b"from C\n")
    for _ in range(300):
        os.write(1, b"x" * 1023 + b"\n")
    report({"still": "here"})
    return {"quiet": False}


def inspect(request: Json, report: Report) -> Json:
    return {
        "environment": dict(os.environ),
        "niceness": os.nice(0),
        "descriptors": sorted(str(path.readlink()) for path in descriptors()),
        "session_leader": os.getsid(0) == os.getpid(),
    }


def computes_on_cpu(request: Json, report: Report) -> Json:
    return {"torch": "cpu", "onnxruntime": "CPUExecutionProvider"}


def computes_on_cuda(request: Json, report: Report) -> Json:
    return {"torch": "cuda", "onnxruntime": "CUDAExecutionProvider"}


def computes_on_half_of_cuda(request: Json, report: Report) -> Json:
    return {"torch": "cuda", "onnxruntime": "CPUExecutionProvider"}


def descriptors() -> list[Path]:
    return [path for path in Path("/proc/self/fd").iterdir() if path.exists()]


def wait(request: Json, report: Report) -> Json:
    report({"pid": os.getpid()})
    time.sleep(request.get("seconds", 600))
    return {"pid": os.getpid()}


def spin(request: Json, report: Report) -> Json:
    end = time.process_time() + request["seconds"]
    while time.process_time() < end:
        pass
    return {}


def hoard(request: Json, report: Report) -> Json:
    """Takes memory and keeps it for a while."""
    hoarded = b"x" * request["bytes"]
    time.sleep(request.get("seconds", 0))
    return {"bytes": len(hoarded), "pid": os.getpid()}


def hoard_in_torch(request: Json, report: Report) -> Json:
    import torch

    return {"elements": torch.ones(request["bytes"], dtype=torch.uint8).numel()}


def hoard_in_onnxruntime(request: Json, report: Report) -> Json:
    import numpy as np
    import onnx.parser
    import onnxruntime

    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]>
        fill (int64[1] shape) => (float[n] filled) { filled = ConstantOfShape(shape) }"""
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (filled,) = session.run(None, {"shape": np.array([request["bytes"] // 4], dtype=np.int64)})
    return {"elements": int(filled.size)}


def abort_without_memory(request: Json, report: Report) -> Json:
    os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n")
    os.abort()


def write_file(request: Json, report: Report) -> Json:
    with Path(request["path"]).open("wb") as file:
        file.write(b"x" * request["bytes"])
    return {}


def write_to_full_disk(request: Json, report: Report) -> Json:
    with Path("/dev/full").open("wb") as file:
        file.write(b"x")
    return {}


def refuse(request: Json, report: Report) -> Json:
    raise DomainError(request.get("reason", Reason.GRAPH_NOT_ONNX))


def fail(request: Json, report: Report) -> Json:
    raise RuntimeError("secret detail")


def exit_politely(request: Json, report: Report) -> Json:
    sys.exit(3)


def exit_at_once(request: Json, report: Report) -> Json:
    os._exit(3)


def answer_with_nan(request: Json, report: Report) -> Json:
    return {"loss": float("nan")}
